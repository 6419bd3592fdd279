"""The page in headless Chromium: what it shows, and what a script in a frame around it finds.

The frame is a page of the test's own that holds the leaderboard's page, may reach into it, and
writes down what it found; so clicks, typing and sizes are real, and the page is as it is shipped.
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
    """The page's DOM after its script ran, and what the console said."""
    done = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--disable-background-networking", "--allow-file-access-from-files",
         f"--user-data-dir={page.parent / '.browser'}", "--virtual-time-budget=10000",
         "--enable-logging=stderr", *options, "--dump-dom", f"{page.resolve().as_uri()}{fragment}"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def ask(page: Path, script: str, fragment="", *options: str, width=1280, quiet=True):
    """What `script`, the body of an async function, returns inside the frame; JSON.

    It knows view, page, one(selector), all(selector), set(field, value), rows(table), settled(),
    violations. quiet: the console must say nothing.
    """
    frame = page.with_name("frame.html")
    frame.write_text(
        _FRAME.format(script=script.replace("</", r"<\/"), fragment=fragment, width=width)
    )
    dom, console = dump(frame, "", f"--window-size={width + 20},900", *options)
    assert not (quiet and console), console
    found = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    assert found and found[1], "the frame's script has not come to its end"
    return json.loads(unescape(found[1]))
