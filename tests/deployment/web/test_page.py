"""The page of a network: one file, no requests, the logits of the engine."""

import base64
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from helpers.browser import ask, needs_chromium
from helpers.web_pages import needs_compiler, noise_samples, small_program

from dstbench.deployment.c_export import toolchain
from dstbench.deployment.runtime.network import Network
from dstbench.deployment.web.render import Fact, render
from dstbench.deployment.web.wasm import WebAssembly, compiler, web_assembly
from dstbench.errors import UserError

FACTS = [Fact("Live weights", "12", "of <many>")]


class Links(HTMLParser):
    """Collects what a page refers to, and its elements."""

    def __init__(self, text):
        super().__init__()
        self.links, self.elements = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.links += [value for name, value in attributes if name in ("src", "href", "srcset")]


@pytest.fixture(scope="module")
def page():
    program = small_program()
    return render(program, WebAssembly(b"\0asm", {}, 0), FACTS, noise_samples(program))


def test_page_refers_to_nothing_outside_itself(page):
    links = Links(page).links
    assert len(links) == 5  # four images and the icon
    assert all(link.startswith("data:") for link in links)
    assert not re.search(r"https?:|fetch\(|XMLHttpRequest|WebSocket|import\(|@import|url\(", page)


def test_page_forbids_requests(page):
    (policy,) = [
        attributes["content"]
        for tag, attributes in Links(page).elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe-inline" not in policy and "connect-src" not in policy


def test_page_has_language_title_and_texts_for_images(page):
    elements = Links(page).elements
    assert ("html", {"lang": "en"}) in elements
    assert "<title>&lt;Random&gt; &amp; small · Net · noise" in page
    images = [attributes for tag, attributes in elements if tag == "img"]
    assert images and all(image["alt"] for image in images)


def test_names_and_facts_are_escaped(page):
    assert "of &lt;many&gt;" in page and "th&lt;r&gt;ee" in page
    assert "<many>" not in page and "<r>" not in page


def test_without_a_compiler_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(toolchain, "_has_zig", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="pip install ziglang"):
        compiler()


@needs_compiler
def test_page_contains_the_webassembly():
    program = small_program()
    compiled = web_assembly(program)
    assert compiled.module[:8] == b"\0asm\1\0\0\0"
    text = render(program, compiled, FACTS)
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    assert base64.b64decode(data["module"]) == compiled.module


@pytest.fixture
def in_browser(tmp_path):
    def opened(program, script, **settings):
        samples = noise_samples(program)
        index = tmp_path / "index.html"
        index.write_text(render(program, web_assembly(program), FACTS, samples))
        ready = "while (!page.body.dataset.logits) await settled(); "
        long = "--virtual-time-budget=60000"  # decoding takes real time, while this passes
        return samples, ask(index, ready + script, "", long, **settings)

    return opened


@needs_chromium
@needs_compiler
@pytest.mark.parametrize("channels", [1, 3])
def test_logits_in_a_browser_are_the_engines(in_browser, channels):
    program = small_program(channels)
    samples, found = in_browser(
        program,
        """return all("#samples button").map((button) => {
             button.click();
             return JSON.parse(page.body.dataset.logits);
           });""",
    )
    logits = Network(program, 1)(np.stack([sample.pixels for sample in samples]))
    assert np.abs(np.array(found) - logits).max() <= 1e-4 * np.abs(logits).max()


@needs_chromium
@needs_compiler
def test_dropped_picture_is_scaled_and_normalised_and_another_file_refused(in_browser):
    program = small_program()
    _, found = in_browser(
        program,
        """const drop = async (content, name) => {
          const event = new view.Event("drop", { cancelable: true });
          event.dataTransfer = { files: [new view.File([content], name)] };
          const before = one("#verdict").textContent;
          view.dispatchEvent(event);
          for (let i = 0; i < 900 && one("#verdict").textContent === before; i++) await settled();
        };
        const canvas = page.createElement("canvas");
        [canvas.width, canvas.height] = [90, 300];
        const c = canvas.getContext("2d");
        c.fillStyle = "rgb(200, 30, 110)";
        c.fillRect(0, 0, 90, 300);
        await drop(await new Promise((done) => canvas.toBlob(done)), "flat.png");
        const logits = JSON.parse(page.body.dataset.logits);
        await drop("text", "notes.txt");
        return [logits, one("#verdict").textContent];""",
    )
    assert found[1] == "notes.txt: no picture that this browser can read."
    flat = np.broadcast_to(np.array([200, 30, 110], np.uint8), (1, 9, 7, 3))
    logits = Network(program, 1)(flat)[0]
    assert np.abs(np.array(found[0]) - logits).max() <= 1e-4 * np.abs(logits).max()


@needs_chromium
@needs_compiler
@pytest.mark.parametrize("width", [390, 1280])
def test_page_fits_and_can_be_used_by_keyboard(in_browser, width):
    program = small_program()
    _, found = in_browser(
        program,
        """const press = (key) =>
          one("#view").dispatchEvent(new view.KeyboardEvent("keydown", { key }));
        await settled();
        press("ArrowDown"); press("ArrowDown");
        const card = one("#card"), shown = !card.hidden && one("#described").textContent;
        const box = card.getBoundingClientRect();
        const inside = box.left >= 0 && box.right <= view.innerWidth;
        press("Escape");
        return { overflow: page.documentElement.scrollWidth - view.innerWidth, shown, inside,
                 left: card.hidden, classes: all("#bars li").length, violations };""",
        width=width,
    )
    assert found["overflow"] <= 0 and found["violations"] == []
    assert "picture" in found["shown"] or "Channel" in found["shown"]
    assert found["inside"] and found["left"] and found["classes"] == 3
