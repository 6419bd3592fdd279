"""Draws plots with matplotlib, as PNG and SVG; the same data gives the same bytes."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dstbench.errors import UserError
from dstbench.figures import draw_series
from dstbench.figures.define_plots import define_plots
from dstbench.figures.load_runs import RunData, by_setting
from dstbench.figures.plot_data import Panel, Plot
from dstbench.figures.styles import in_display_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg")
_COLUMNS = 3
_WIDTH, _HEIGHT = 4.1, 3.3  # of a panel, in inches
_LEGEND_WIDTH, _ENTRY_HEIGHT = 1.6, 0.205  # of a column of the legend, and of one name
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


def draw_runs(runs: Sequence[RunData], into: Path) -> list[Path]:
    """Write every figure of the runs, in a subfolder for each setting if there are several.

    Raises UserError when matplotlib is missing or a file cannot be written.
    """
    groups = by_setting(runs)
    written = []
    for setting, group in groups.items():
        folder = into if len(groups) == 1 else into / setting.slug
        for plot in define_plots(group):
            written += save_plot(plot, folder)
    return written


def save_plot(plot: Plot, folder: Path) -> list[Path]:
    """Write one figure in every format, as `folder/<plot.name>.png` and `.svg`.

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
            figure = draw_figure(plot)
            figure.savefig(paths[0], dpi=150, metadata={"Software": None})
            figure.savefig(paths[1], metadata={"Date": None, "Title": plot.title})
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}).") from None
    return paths


def figure_size(plot: Plot) -> tuple[float, float]:
    """Return the width and height of a figure, in inches."""
    rows, columns = _grid(plot)
    wide = 1.3 if len(plot.panels) == 1 else 1.0
    height = _HEIGHT * wide * rows + 0.3
    return _WIDTH * wide * columns + _LEGEND_WIDTH * _legend_columns(plot, height), height


def _legend_columns(plot: Plot, height: float) -> int:
    """Return how many columns the legend needs beside panels of this height."""
    labels = {one.label for panel in plot.panels for one in panel.series}
    return max(1, math.ceil((len(labels) + len(_marks(plot))) / (height // _ENTRY_HEIGHT)))


def _marks(plot: Plot) -> dict[str, str]:
    """Return the marks that a plot uses, and their markers, in the order of the legend."""
    used = {what for panel in plot.panels for one in panel.series for what, *_ in one.marks}
    return {what: marker for what, marker in draw_series.MARKERS.items() if what in used}


def _grid(plot: Plot) -> tuple[int, int]:
    columns = min(_COLUMNS, len(plot.panels))
    return math.ceil(len(plot.panels) / columns), columns


def draw_figure(plot: Plot) -> "Figure":
    """Return the figure as matplotlib's, to be saved."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, columns = _grid(plot)
    figure = Figure(figsize=figure_size(plot), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=not plot.axes.own_y)
    every = list(grid.flat)
    for axes, panel in zip(every, plot.panels, strict=False):
        _draw_panel(axes, plot, panel)
    if plot.axes.bottom is not None:  # after all is drawn: this ends automatic scaling
        highs = [high for panel in plot.panels for one in panel.series for high in one.high]
        top = plot.axes.top or 1.06 * max(highs, default=0) or 1.0
        every[0].set_ylim(plot.axes.bottom, top)
    for axes in every[len(plot.panels) :]:
        axes.set_axis_off()
    for axes in every[max(0, len(plot.panels) - columns) : len(plot.panels)]:
        axes.set_xlabel(plot.xlabel)
    for axes in grid[:, 0]:
        axes.set_ylabel(plot.ylabel)
    _draw_legend(figure, plot)
    return figure


def _draw_panel(axes: "Axes", plot: Plot, panel: Panel) -> None:
    axes.set_title(draw_series.escape(panel.title), loc="left")
    _set_scales(axes, plot)
    sparsities = plot.axes.sparsities
    several = [one for one in panel.series if one.xs != [1.0]]
    for series in panel.series:
        if sparsities is None:
            index = several.index(series) if series in several else 0
            draw_series.draw_line(axes, series, index)
        elif series in several:
            moved = draw_series.shifted(series, several.index(series), len(several), sparsities)
            draw_series.draw_line(axes, moved, None)
        else:
            draw_series.draw_level(axes, series)


def _set_scales(axes: "Axes", plot: Plot) -> None:
    from matplotlib.ticker import MaxNLocator

    if plot.axes.sparsities is not None:
        _set_sparsity_axis(axes, plot.axes.sparsities)
    elif plot.axes.log_x:
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if plot.axes.symlog:
        # Logarithmic for 95 % of the values, however high one peak is; linear below, down to zero.
        shown = sorted(v for p in plot.panels for one in p.series for v in one.middle if v > 0)
        low = shown[len(shown) // 20] if shown else 1.0
        linear = 10.0 ** math.floor(math.log10(max(low, 1e-6)))
        axes.set_yscale("symlog", linthresh=linear)
        values = [v for p in plot.panels for one in p.series for v in (*one.low, *one.high)]
        if values and math.isclose(min(values), max(values)):
            # Matplotlib's own limits of one value have no height here, and no room for its ticks.
            axes.set_ylim(0, 2 * max(values) or 1)


def _set_sparsity_axis(axes: "Axes", sparsities: Sequence[float]) -> None:
    """Make x the live fraction, logarithmic and falling, with sparsities as tick labels."""
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks([1 - s for s in sparsities], [f"{100 * s:.8g}" for s in sparsities])
    if sparsities:
        left, right = 1 - min(sparsities), 1 - max(sparsities)
        margin = (left / right) ** 0.09 if left > right else draw_series.SPAN**0.5
        axes.set_xlim(left * margin, right / margin)


def _draw_legend(figure: "Figure", plot: Plot) -> None:
    """Draw one legend for all panels: methods in display order, then the marks that are used."""
    from matplotlib.lines import Line2D

    styles = {one.label: one.style for panel in plot.panels for one in panel.series}
    lines = {
        label: Line2D([], [], **draw_series.line_style(styles[label]))
        for label in in_display_order(styles)
    }
    marks = {
        what: Line2D(
            [], [], color="#444444", marker=marker, linestyle="", markersize=8, markeredgewidth=1.8
        )
        for what, marker in _marks(plot).items()
    }
    figure.legend(
        [*lines.values(), *marks.values()],
        [draw_series.escape(label) for label in [*lines, *marks]],
        loc="outside right upper",
        ncols=_legend_columns(plot, figure.get_figheight()),
        fontsize=8.5,
        labelspacing=0.7,
        handlelength=2.6,
    )
