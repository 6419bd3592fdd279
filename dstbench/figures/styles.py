"""Colour, marker and order of methods: the same in every figure and table.

`methods/styles.json` lists styles by method name, in display order. A method need not be in it: one
that is not takes a spare style, chosen by its name, and is listed last. Colours are from the sets
of Okabe and Ito (2008) and of Tol (2021), distinguishable with any colour vision; marker and line
style repeat the distinction.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from dstbench.config.shipped_files import roots
from dstbench.utils.json_text import parse_json

FILE = "methods/styles.json"


@dataclass(frozen=True)
class Style:
    """How a method is drawn.

    color: #rrggbb.
    marker: matplotlib's name of it; empty for none.
    line: matplotlib's name of a line style.
    """

    color: str
    marker: str = ""
    line: str = "-"


REFERENCE = Style("#767676")  # of lines that stand for no method
_SPARE = [
    Style(color, marker, "-.")
    for marker in ("X", "8", "D", "s", "^", "v")
    for color in ("#117733", "#AA4499", "#0072B2", "#D55E00", "#332288", "#E69F00", "#882255")
]


@cache
def listed_styles() -> dict[str, Style]:
    """Return the styles of styles.json: method name → style, in display order."""
    for path in (root / FILE for root in roots()):
        if path.is_file():
            content = parse_json(path.read_text(encoding="utf-8"))
            return {method: Style(**style) for method, style in content.items()}
    return {}


def in_display_order(methods: Iterable[str]) -> list[str]:
    """Return the methods as figures and tables list them: those of styles.json, then by name."""
    position = {name: i for i, name in enumerate(listed_styles())}
    return sorted(
        set(methods), key=lambda name: (position.get(_base_name(name), len(position)), name)
    )


def style_of(method: str) -> Style:
    """Return a method's style; it does not depend on the other methods of a figure."""
    listed = listed_styles().get(_base_name(method))
    return listed or _SPARE[sum(ord(letter) for letter in method) % len(_SPARE)]


def families(methods: Iterable[str]) -> list[list[str]]:
    """Return groups of a method and its variants, by name: RigL, RigL w/ WS, RigL cyclic.

    A variant's name is the method's, continued with a space or a plus sign. A method without
    variants is left out; a method belongs to the family with the shortest name.
    """
    found: dict[str, list[str]] = {}
    for method in sorted(set(methods), key=lambda name: (len(name), name)):
        base = next((base for base in found if re.match(rf"{re.escape(base)}[ +]", method)), method)
        found.setdefault(base, []).append(method)
    order = in_display_order(found)
    return [in_display_order(found[base]) for base in order if len(found[base]) > 1]


def _base_name(method: str) -> str:
    """Return the name without brackets: DCTpS+RigL (ERK) has the style of DCTpS+RigL."""
    return re.sub(r" \(.*\)$", "", method)
