"""Figures that matplotlib could not lay out by itself."""

import warnings

from dstbench.figures.draw_plots import draw_figure
from dstbench.figures.plot_data import Axes, Panel, Plot, Series
from dstbench.figures.styles import style_of


def test_symlog_plot_of_one_value_is_drawn_without_warnings():
    value = 0.26741175832619474
    series = Series("SET", style_of("SET"), [1.0], [value], [value], [value], [])
    plot = Plot(
        name="gradient_norm", title="Gradient norm", caption="", xlabel="epoch", ylabel="norm",
        panels=[Panel("90 %", [series])], axes=Axes(symlog=True),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
            warnings.simplefilter("default", kind)  # of libraries, about each other
        figure = draw_figure(plot)
        figure.canvas.draw()
    low, high = figure.axes[0].get_ylim()
    assert low < value < high
