"""Draws plots with matplotlib, the only place that needs it; the same data gives the same bytes."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dstbench.errors import UserError
from dstbench.figures import lines
from dstbench.figures.plots import plots
from dstbench.figures.run_data import RunData, grouped
from dstbench.figures.series import Panel, Plot
from dstbench.figures.styles import in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg")
_COLUMNS = 3
_WIDTH, _HEIGHT = 4.1, 3.3  # of a panel, inches
_STYLE: Any = {
    "font.family": "DejaVu Sans",  # matplotlib's own: the same on every machine
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.5,
    "figure.facecolor": "white",
    "svg.hashsalt": "dstbench",
    "svg.fonttype": "path",
}


def draw(runs: Sequence[RunData], into: Path) -> list[Path]:
    """Write every figure of the runs as PNG and SVG; a folder for each setting, if there are more.

    Raises UserError when matplotlib is missing or a file cannot be written.
    """
    groups = grouped(runs)
    written = []
    for setting, group in groups.items():
        folder = into if len(groups) == 1 else into / setting.slug
        for plot in plots(group):
            written += save(plot, folder)
    return written


def save(plot: Plot, folder: Path) -> list[Path]:
    """Write one figure in every format, under its own name.

    Raises UserError when matplotlib is missing or a file cannot be written.
    """
    try:
        from matplotlib import rc_context
    except ImportError:
        raise UserError("drawing needs matplotlib: pip install 'dstbench[plots]'") from None
    paths = [(folder / plot.name).with_suffix(suffix) for suffix in FORMATS]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with rc_context(_STYLE):
            drawn = figure(plot)
            drawn.savefig(paths[0], dpi=150, metadata={"Software": None})
            drawn.savefig(paths[1], metadata={"Date": None, "Title": plot.title})
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}).") from None
    return paths


def size(plot: Plot) -> tuple[float, float]:
    """Width and height of a figure, inches."""
    rows, columns = _grid(plot)
    wide = 1.3 if len(plot.panels) == 1 else 1.0
    return _WIDTH * wide * columns + 1.6, _HEIGHT * wide * rows + 0.3


def _grid(plot: Plot) -> tuple[int, int]:
    columns = min(_COLUMNS, len(plot.panels))
    return math.ceil(len(plot.panels) / columns), columns


def figure(plot: Plot) -> "Figure":
    """Drawn, to be saved."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, columns = _grid(plot)
    made = Figure(figsize=size(plot), layout="constrained")
    FigureCanvasAgg(made)
    grid = made.subplots(rows, columns, squeeze=False, sharey=not plot.axes.get("own_y"))
    every = list(grid.flat)
    for axes, panel in zip(every, plot.panels, strict=False):
        _panel(axes, plot, panel)
    if "bottom" in plot.axes:  # once all is drawn: it ends the scaling by itself
        highs = [high for panel in plot.panels for one in panel.series for high in one.high]
        top = plot.axes.get("top") or 1.06 * max(highs, default=0) or 1.0
        every[0].set_ylim(plot.axes["bottom"], top)
    for axes in every[len(plot.panels) :]:
        axes.set_axis_off()
    for axes in every[max(0, len(plot.panels) - columns) : len(plot.panels)]:
        axes.set_xlabel(plot.xlabel)
    for axes in grid[:, 0]:
        axes.set_ylabel(plot.ylabel)
    _legend(made, plot)
    return made


def _panel(axes: "Axes", plot: Plot, panel: Panel) -> None:
    axes.set_title(lines.text(panel.title), loc="left")
    _scales(axes, plot)
    sparsities = plot.axes.get("sparsities")
    several = [one for one in panel.series if one.xs != [1.0]]
    for series in panel.series:
        if sparsities is None:
            lines.line(axes, series, several.index(series) if series in several else 0)
        elif series in several:
            lines.line(
                axes, lines.aside(series, several.index(series), len(several), sparsities), None
            )
        else:
            lines.level(axes, series)


def _scales(axes: "Axes", plot: Plot) -> None:
    from matplotlib.ticker import MaxNLocator

    if "sparsities" in plot.axes:
        _sparsity_axis(axes, plot.axes["sparsities"])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if plot.axes.get("y") == "symlog":
        # Logarithmic for nearly all values, however high one peak is, with a place for exact zeros.
        shown = sorted(v for p in plot.panels for one in p.series for v in one.middle if v > 0)
        low = shown[len(shown) // 20] if shown else 1.0
        linear = 10.0 ** math.floor(math.log10(max(low, 1e-6)))
        axes.set_yscale("symlog", linthresh=linear)


def _sparsity_axis(axes: "Axes", sparsities: Sequence[float]) -> None:
    """Live weights on a logarithmic scale, falling; ticks say what was removed."""
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks([1 - s for s in sparsities], [f"{100 * s:.8g}" for s in sparsities])
    if sparsities:
        left, right = 1 - min(sparsities), 1 - max(sparsities)
        margin = (left / right) ** 0.09 if left > right else lines.SPAN**0.5
        axes.set_xlim(left * margin, right / margin)


def _legend(figure: "Figure", plot: Plot) -> None:
    """One for all panels, in the order of methods; marks are explained where there are any."""
    from matplotlib.lines import Line2D

    every = {one.label: one.look for panel in plot.panels for one in panel.series}
    used = {what for panel in plot.panels for one in panel.series for what, *_ in one.marks}
    drawn = [Line2D([], [], **lines.style(every[label])) for label in in_order(every)]
    marks = {what: sign for what, sign in lines.MARKS.items() if what in used}
    signs = [
        Line2D(
            [], [], color="#444444", marker=sign, linestyle="", markersize=8, markeredgewidth=1.8
        )
        for sign in marks.values()
    ]
    figure.legend(
        [*drawn, *signs],
        [lines.text(label) for label in [*in_order(every), *marks]],
        loc="outside right upper",
        fontsize=8.5,
        labelspacing=0.7,
        handlelength=2.6,
    )
