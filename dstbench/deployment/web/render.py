"""Renders a compiled network as one HTML file that needs no other file, and no network.

Style, scripts, test images and WebAssembly are inline; a Content-Security-Policy forbids the page
to load anything else.
"""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from dstbench.deployment.runtime.program import Program
from dstbench.deployment.web.drawing import Drawing, drawing
from dstbench.deployment.web.samples import Sample
from dstbench.deployment.web.wasm import WebAssembly
from dstbench.utils.web_page import inline, templates

_SCRIPTS = (
    "engine",
    "picture",
    "layout",
    "colours",
    "activity",
    "painter",
    "choice",
    "view",
    "main",
)  # in this order


@dataclass(frozen=True)
class Fact:
    """A fact that the page states, as text; the note is below it, smaller."""

    name: str
    value: str
    note: str = ""


def render(
    program: Program,
    compiled: WebAssembly,
    facts: Sequence[Fact],
    samples: Sequence[Sample] = (),
) -> str:
    """Return the page of a network.

    compiled: the program.
    facts: about the network.
    samples: images that are offered beside those that a user brings.
    """
    about, drawn = program.about, drawing(program)
    classes = about.get("classes") or [str(number) for number in range(program.classes)]
    _, height, width = program.image_shape
    every = len({sample.label for sample in samples}) == len(classes)
    heading = " · ".join(str(about[key]) for key in ("method", "model", "dataset") if key in about)
    return (
        templates(__package__, "page")
        .get_template("page.html")
        .render(
            title=f"{heading or 'A network'} – live in the browser",
            heading=heading or "A network",
            classes=classes,
            height=height,
            width=width,
            samples=[
                {"source": _png(s.pixels), "label": s.label, "number": s.number} for s in samples
            ],
            sampled="every class" if every else "some classes",
            facts=facts,
            dots=len(drawn.plane),
            lines=len(drawn.start),
            data=Markup(_json(_data(program, drawn, classes, compiled))),
            style=inline(__package__, "page/page.css"),
            script=inline(__package__, *(f"page/{name}.js" for name in _SCRIPTS)),
        )
    )


def _data(
    program: Program, drawn: Drawing, classes: Sequence[str], compiled: WebAssembly
) -> dict[str, Any]:
    """Return what the scripts read. A dot without a plane, of no influence, has offset −1."""
    sizes = program.sizes()[drawn.plane]
    return {
        "shape": program.image_shape,
        "classes": list(classes),
        "module": base64.b64encode(compiled.module).decode(),
        "pixels": compiled.pixels,
        "dots": {
            "column": drawn.column.tolist(),
            "place": _rounded(drawn.place),
            "height": sizes[:, 0].tolist(),
            "width": sizes[:, 1].tolist(),
            "offset": [compiled.starts.get(plane, -1) for plane in drawn.plane.tolist()],
        },
        "lines": {
            "start": drawn.start.tolist(),
            "end": drawn.end.tolist(),
            "weight": _rounded(drawn.weight),
            "size": _rounded(drawn.size),
            "number": drawn.number.tolist(),
        },
    }


def _rounded(numbers: np.ndarray) -> list[float]:
    return [float(f"{number:.4g}") for number in numbers]


def _png(pixels: np.ndarray) -> str:
    content = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(content, "PNG")
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def _json(data: dict[str, Any]) -> str:
    """Return JSON that cannot end the element it is in."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
