"""Draws one series on matplotlib axes: its line, its band over seeds, its marks."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dstbench.figures.plot_data import Series
from dstbench.figures.styles import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = {"collapsed": "x", "diverged": "1"}
SPAN = 4.0  # of the sparsity axis (a ratio of live fractions) where there is one sparsity


def draw_line(axes: "Axes", series: Series, index: int | None) -> None:
    """Draw the median as a line and the range over seeds as a band.

    index: of the series in its panel, to spread the markers of lines with many points; None puts a
    marker on every point.
    """
    color, every = series.style.color, max(1, len(series.xs) // 7)
    markevery = None if index is None else (index * every // 5 % every, every)
    style = line_style(series.style)
    if len(series.xs) == 1:
        style["marker"] = style["marker"] or "o"  # a line through one point cannot be seen
    axes.plot(series.xs, series.middle, markevery=markevery, zorder=3, **style)
    if len(series.xs) == 1:
        axes.vlines(series.xs, series.low, series.high, color=color, alpha=0.6)
    axes.fill_between(series.xs, series.low, series.high, color=color, alpha=0.13, linewidth=0)
    if series.points:
        xs, ys = zip(*series.points, strict=True)
        axes.plot(xs, ys, ".", color=color, alpha=0.6, markersize=4, zorder=2)
    for what, x, y in series.marks:
        floor = axes.get_xaxis_transform() if y is None else axes.transData
        axes.plot([x], [y or 0.0], MARKERS[what], color=color, transform=floor,
                  markersize=8, markeredgewidth=1.8, zorder=4, clip_on=False)  # fmt: skip


def shifted(series: Series, index: int, count: int, sparsities: Sequence[float]) -> Series:
    """Return the series moved a little along the sparsity axis, so that methods do not overlap.

    index: of the series in its panel.
    count: number of series in the panel.
    """
    steps = [(1 - low) / (1 - high) for low, high in itertools.pairwise(sparsities)]
    room = min(steps, default=SPAN) ** (0.16 if steps else 0.9)
    factor = room ** (0.5 - (index + 0.5) / count)
    marks = [(what, x * factor, y) for what, x, y in series.marks]
    points = [(x * factor, y) for x, y in series.points]
    return replace(series, xs=[x * factor for x in series.xs], marks=marks, points=points)


def draw_level(axes: "Axes", series: Series) -> None:
    """Draw a dense network as a horizontal line: sparsity 0 is not on a logarithmic axis."""
    color, line = series.style.color, series.style.line
    axes.axhspan(series.low[0], series.high[0], color=color, alpha=0.13, linewidth=0)
    axes.axhline(series.middle[0], color=color, linestyle=line)


def line_style(style: Style) -> dict[str, Any]:
    """Return a style as arguments of matplotlib's Line2D."""
    return {
        "color": style.color,
        "linestyle": style.line,
        "marker": style.marker or None,
        "markersize": 9 if style.marker == "*" else 5.5,
        "markeredgecolor": "white",
        "markeredgewidth": 0.5,
    }


def escape(name: str) -> str:
    """Return a name escaped for matplotlib, where $ begins mathematics and _ hides a label."""
    plain = name.replace("$", r"\$")
    return f" {plain}" if plain.startswith("_") else plain
