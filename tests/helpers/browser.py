"""Runs the leaderboard's page in headless Chromium and scripts it from a surrounding frame.

The frame is a page of the test that embeds the leaderboard's page, acts on it, and writes down the
result; so clicks, typing and sizes are real, and the page is unchanged.
"""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

_FRAME = """<!doctype html><meta charset="utf-8">
<style>iframe {{ width: {width}px; height: 800px; border: 0; }}</style>
<iframe id="frame" src="index.html{fragment}"></iframe>
<pre id="found"></pre>
<script>
const violations = [];
document.getElementById("frame").addEventListener("load", async (event) => {{
  const view = event.target.contentWindow, page = view.document;
  page.addEventListener("securitypolicyviolation", (e) => violations.push(e.violatedDirective));
  const settled = () => new Promise((done) => setTimeout(done, 50));
  const one = (selector) => page.querySelector(selector);
  const all = (selector) => [...page.querySelectorAll(selector)];
  const set = (name, value) => {{
    const field = one(`[name=${{name}}]`);
    field.value = value;
    field.dispatchEvent(new view.Event("input", {{ bubbles: true }}));
  }};
  const rows = (table) => all(`#${{table}} tbody tr`).filter((row) => !row.hidden)
    .map((row) => row.cells[0].textContent);
  let found;
  try {{ found = await (async () => {{ {script} }})(); }} catch (error) {{ found = `${{error}}`; }}
  document.getElementById("found").textContent = JSON.stringify(found);
}});
</script>"""


def dump(page: Path, fragment: str = "", *options: str) -> tuple[str, list[str]]:
    """Return the page's DOM after its script ran, and the lines of the console."""
    done = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--disable-background-networking", "--allow-file-access-from-files",
         f"--user-data-dir={page.parent / '.browser'}", "--virtual-time-budget=10000",
         "--enable-logging=stderr", *options, "--dump-dom", f"{page.resolve().as_uri()}{fragment}"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def ask(page: Path, script: str, fragment="", *options: str, width=1280, quiet=True):
    """Return the JSON value that `script`, the body of an async function, returns in the frame.

    It can use view, page, one(selector), all(selector), set(field, value), rows(table), settled()
    and violations.

    quiet: fail if the console has output.
    """
    frame = page.with_name("frame.html")
    frame.write_text(
        _FRAME.format(script=script.replace("</", r"<\/"), fragment=fragment, width=width)
    )
    dom, console = dump(frame, "", f"--window-size={width + 20},900", *options)
    assert not (quiet and console), console
    found = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    assert found and found[1], "the frame's script did not finish"
    return json.loads(unescape(found[1]))
