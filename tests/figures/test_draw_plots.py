"""Figures that matplotlib could not lay out by itself."""

import warnings

import pytest

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


@pytest.mark.parametrize("methods", [1, 17, 18, 40])
def test_legend_of_many_methods_is_inside_the_figure(methods):
    marks = [("collapsed", 1.0, 10.0)]
    series = [
        Series(f"method {n}", style_of("SET"), [1.0, 2.0], *[[1.0, 2.0]] * 3, marks)
        for n in range(methods)
    ]
    plot = Plot(
        name="accuracy", title="Accuracy", caption="", xlabel="epoch", ylabel="%",
        panels=[Panel("99 %", series), Panel("99.9 %", series)], axes=Axes(),
    )  # fmt: skip
    figure = draw_figure(plot)
    figure.canvas.draw()
    (legend,) = figure.legends
    box, drawn = legend.get_window_extent(), figure.bbox
    assert len(legend.get_texts()) == methods + 1
    assert drawn.x0 <= box.x0 and box.x1 <= drawn.x1 and drawn.y0 <= box.y0 and box.y1 <= drawn.y1


def test_a_single_point_of_a_style_without_marker_is_seen():
    dense = Series("Dense", style_of("Dense"), [1.0], [81.0], [81.0], [81.0], [])
    assert dense.style.marker == ""
    figure = draw_figure(Plot("p", "title", "caption", "MACs", "%", [Panel("", [dense])], Axes()))
    (axes,) = figure.axes
    assert "o" in [line.get_marker() for line in axes.lines]
