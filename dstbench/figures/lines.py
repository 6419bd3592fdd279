"""How a series is drawn on axes: its line, its band, its marks; see paint.py for the rest."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dstbench.figures.series import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = {"collapsed": "x", "diverged": "1"}
SPAN = 4.0  # of the axis of sparsities where there is but one


def line(axes: "Axes", series: Series, place: int | None) -> None:
    """The median as a line, the range over seeds as a band.

    place: of the series among the others, where markers are spaced out along lines of many points.
    """
    color, every = series.look["color"], max(1, len(series.xs) // 7)
    markevery = None if place is None else (place * every // 5 % every, every)
    axes.plot(series.xs, series.middle, markevery=markevery, zorder=3, **style(series.look))
    if len(series.xs) == 1:
        axes.vlines(series.xs, series.low, series.high, color=color, alpha=0.6)
    axes.fill_between(series.xs, series.low, series.high, color=color, alpha=0.13, linewidth=0)
    for what, x, y in series.marks:
        floor = axes.get_xaxis_transform() if y is None else axes.transData
        axes.plot([x], [y or 0.0], MARKS[what], color=color, transform=floor,
                  markersize=8, markeredgewidth=1.8, zorder=4, clip_on=False)  # fmt: skip


def aside(series: Series, place: int, of: int, sparsities: Sequence[float]) -> Series:
    """The series moved a little along the axis of sparsities, so that methods hide none another."""
    steps = [(1 - low) / (1 - high) for low, high in itertools.pairwise(sparsities)]
    room = min(steps, default=SPAN) ** (0.16 if steps else 0.9)
    factor = room ** (0.5 - (place + 0.5) / of)
    marks = [(what, x * factor, y) for what, x, y in series.marks]
    return replace(series, xs=[x * factor for x in series.xs], marks=marks)


def level(axes: "Axes", series: Series) -> None:
    """The dense network, which has no place among sparsities."""
    color, line = series.look["color"], series.look["line"]
    axes.axhspan(series.low[0], series.high[0], color=color, alpha=0.13, linewidth=0)
    axes.axhline(series.middle[0], color=color, linestyle=line)


def style(look: Mapping[str, str]) -> dict[str, Any]:
    """A look as matplotlib's lines have it."""
    return {
        "color": look["color"],
        "linestyle": look["line"],
        "marker": look["marker"] or None,
        "markersize": 9 if look["marker"] == "*" else 5.5,
        "markeredgecolor": "white",
        "markeredgewidth": 0.5,
    }


def text(name: str) -> str:
    """A name as itself: to matplotlib dollars begin mathematics, an underscore hides a label."""
    plain = name.replace("$", r"\$")
    return f" {plain}" if plain.startswith("_") else plain
