"""The order and the look of methods: the same in every figure, whichever methods it shows.

Colours are from the sets of Okabe and Ito (2008) and of Tol (2021), which people with any colour
vision can tell apart; a marker and a dash say the same again. Only looks are decided here: a method
that is not named takes one of the spare looks, by its name, and is listed last.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """color: as #rrggbb. marker, line: as matplotlib names them; no marker is the empty string."""

    color: str
    marker: str
    line: str = "-"


# In the order of legends and tables: references, static masks, then drop-and-grow, then DCT.
_LOOKS = {
    "Dense": Look("#767676", "", "--"),
    "Static": Look("#999933", "s"),
    "SynFlow": Look("#E69F00", "D"),
    "SET": Look("#56B4E9", "^"),
    "RigL": Look("#332288", "o"),
    "RigL w/ clip": Look("#6F6FB8", "X", "-."),
    "RigL w/ DyReLU": Look("#CC79A7", "P"),
    "RigL w/ WS": Look("#117733", "v"),
    "RigL cyclic": Look("#0072B2", "<", "--"),
    "SET+EAST": Look("#44AA99", "h", "--"),
    "EAST w/o WS": Look("#B05A7A", "P", "-."),
    "EAST w/o cycle": Look("#AA4499", ">", "--"),
    "EAST": Look("#D55E00", "*"),
    "DCTpS": Look("#882255", "d"),
    "DCTpS+RigL": Look("#000000", "p"),
    "DCTpS+RigL+EAST": Look("#8C510A", "H", "--"),
}
_SPARE = [
    Look(color, marker, "-.")
    for marker in ("X", "8", "D", "s", "^", "v")
    for color in ("#117733", "#AA4499", "#0072B2", "#D55E00", "#332288", "#E69F00", "#882255")
]


def in_order(methods: Iterable[str]) -> list[str]:
    """Methods as figures and tables list them: those known here, then the others by name."""
    place = {name: i for i, name in enumerate(_LOOKS)}
    return sorted(set(methods), key=lambda name: (place.get(_plain(name), len(place)), name))


def look(method: str) -> Look:
    """How a method is drawn, whatever else the figure shows."""
    known = _LOOKS.get(_plain(method))
    return known or _SPARE[sum(ord(letter) for letter in method) % len(_SPARE)]


def families(methods: Iterable[str]) -> list[list[str]]:
    """Methods of which one adds to the other, as their names say: RigL, RigL w/ WS, RigL cyclic.

    A family is a method and all whose names go on after it with a space or a plus sign; one alone
    is no family, and a method belongs to that with the shortest name.
    """
    found: dict[str, list[str]] = {}
    for method in sorted(set(methods), key=lambda name: (len(name), name)):
        base = next((base for base in found if re.match(rf"{re.escape(base)}[ +]", method)), method)
        found.setdefault(base, []).append(method)
    order = in_order(found)
    return [in_order(found[base]) for base in order if len(found[base]) > 1]


def _plain(method: str) -> str:
    """Without what is said in brackets: DCTpS+RigL (ERK) looks like DCTpS+RigL."""
    return re.sub(r" \(.*\)$", "", method)
