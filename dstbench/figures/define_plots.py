"""Defines every figure: which metric of the runs it shows, its title, labels and caption."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from dstbench.figures import aggregate
from dstbench.figures.aggregate import MakeSeries
from dstbench.figures.gradient_flow import GRADIENT_FLOW
from dstbench.figures.load_runs import RunData
from dstbench.figures.plot_data import Axes, Panel, Plot, Series

_MAX_POINTS = 125  # of a line
_DEFAULT_AXES = Axes()


def define_plots(runs: Sequence[RunData]) -> list[Plot]:
    """Return the figures of runs of one setting; an empty figure is left out."""
    every = [make(runs) for make in _FIGURES]
    return [plot for plot in every if any(panel.series for panel in plot.panels)]


def _accuracy_over_sparsity(runs: Sequence[RunData]) -> Plot:
    def make_series(method: str, group: list[RunData]) -> Series:
        values: dict[float, list[float]] = defaultdict(list)
        marks = []
        for run in group:
            if run.accuracy is not None:
                values[1 - run.sparsity].append(run.accuracy)
            if run.mark and run.sparsity:
                marks.append((run.mark, 1 - run.sparsity, run.accuracy))
        points = [(x, value) for x, seeds in sorted(values.items()) for value in sorted(seeds)]
        return replace(aggregate.series(method, values, marks), points=points)

    ended = [run for run in runs if run.accuracy is not None or run.mark]
    sparsities = sorted({run.sparsity for run in ended} - {0.0})
    return Plot(
        name="accuracy_over_sparsity",
        title="Accuracy over sparsity",
        caption="Test accuracy of finished runs: the median over seeds, every seed as a point, "
        "and, shaded, their range.",
        xlabel="sparsity, % (log scale of the live fraction)",
        ylabel="test accuracy, %",
        axes=Axes(sparsities=sparsities),
        panels=[Panel("", aggregate.by_method(runs, make_series))],
    )


def _accuracy_over_cost(
    cost_of: Callable[[RunData], float | None], name: str, title: str, xlabel: str, caption: str
) -> Callable[[Sequence[RunData]], Plot]:
    """Return the figure of accuracy over a cost relative to the dense network.

    cost_of: run → its cost; None where unknown.

    A method's runs of one sparsity are one point, at the median of their costs.
    """

    def make_series(method: str, group: list[RunData]) -> Series:
        costs: dict[float, list[float]] = defaultdict(list)
        accuracies: dict[float, list[float]] = defaultdict(list)
        for run in group:
            cost = cost_of(run)
            if cost and run.accuracy is not None:
                costs[run.sparsity].append(cost)
                accuracies[run.sparsity].append(run.accuracy)
        values: dict[float, list[float]] = defaultdict(list)
        for sparsity, known in costs.items():
            values[median(known)] += accuracies[sparsity]
        return aggregate.series(method, values)

    def make(runs: Sequence[RunData]) -> Plot:
        panels = [Panel("", aggregate.by_method(runs, make_series))]
        return Plot(name, title, caption, xlabel, "test accuracy, %", panels, Axes(log_x=True))

    return make


def _positive_by_layer(runs: Sequence[RunData]) -> Plot:
    def make_series(method: str, group: list[RunData]) -> Series:
        values: dict[float, list[float]] = defaultdict(list)
        for run in group:
            fractions = [] if run.mark == "diverged" else run.layers_positive.values()
            for number, fraction in enumerate(fractions, 1):
                if fraction is not None:
                    values[number].append(100 * fraction)
        return aggregate.series(method, values)

    return Plot(
        name="positive_preactivations",
        title="Positive pre-activations by layer",
        caption="Fraction of positive inputs of every activation after the last epoch; where it is "
        "zero, the activation passes no gradient.",
        xlabel="activation, from input to output",
        ylabel="positive pre-activations, %",
        axes=Axes(bottom=0),
        panels=aggregate.by_sparsity(runs, make_series),
    )


def _over_training(
    key: str,
    name: str,
    title: str,
    ylabel: str,
    caption: str,
    unit: float = 1.0,
    panels: Callable[[Sequence[RunData], MakeSeries], list[Panel]] = aggregate.by_sparsity,
    axes: Axes = _DEFAULT_AXES,
) -> Callable[[Sequence[RunData]], Plot]:
    """Return the figure of one metric over the epochs.

    key: the metric's name in the curves.
    unit: factor on its values.
    panels: how runs are split into panels.

    Long runs are thinned to `_MAX_POINTS` epochs, so that files stay small.
    """

    def make_series(method: str, group: list[RunData]) -> Series:
        values: dict[float, list[float]] = defaultdict(list)
        marks = []
        for run in group:
            known = [(e["epoch"], unit * e[key]) for e in run.curves if e.get(key) is not None]
            for epoch, value in _thinned(known):
                values[epoch].append(value)
            if run.mark and known:
                marks.append((run.mark, *known[-1]))
        return aggregate.series(method, values, marks)

    def make(runs: Sequence[RunData]) -> Plot:
        return Plot(name, title, caption, "epoch", ylabel, panels(runs, make_series), axes)

    return make


_GRADIENT: dict[str, Any] = {"key": "grad_norm_live", "axes": Axes(symlog=True)}

_FIGURES: list[Callable[[Sequence[RunData]], Plot]] = [
    _accuracy_over_sparsity,
    _accuracy_over_cost(
        lambda run: run.macs,
        name="accuracy_over_macs",
        title="Accuracy over MACs",
        xlabel="MACs of one image, fraction of the dense network's",
        caption="Test accuracy of finished runs over the cost of inference: the median over seeds "
        "and, shaded, their range; a point for each sparsity.",
    ),
    _accuracy_over_cost(
        lambda run: run.training,
        name="accuracy_over_training_flops",
        title="Accuracy over training FLOPs",
        xlabel="FLOPs of training, fraction of the dense network's",
        caption="Test accuracy of finished runs over the cost of training, forward and backward: "
        "the median over seeds and, shaded, their range; a point for each sparsity.",
    ),
    _over_training(
        key="val_accuracy",
        name="accuracy_over_training",
        title="Accuracy over training",
        ylabel="validation accuracy, %",
        caption="On validation images, after every epoch.",
    ),
    _positive_by_layer,
    _over_training(
        key="positive_preactivations",
        name="positive_over_training",
        title="Positive pre-activations over training",
        ylabel="positive pre-activations, %",
        caption="Fraction of positive inputs of all activations.",
        unit=100.0,
        axes=Axes(bottom=0),
    ),
    _over_training(
        **_GRADIENT,
        name="gradient_norm",
        title="Gradient norm over training",
        ylabel="gradient norm, live weights",
        caption="Norm of the loss's gradient with respect to live weights; linear near zero.",
    ),
    _over_training(
        **_GRADIENT,
        name="gradient_norm_by_trick",
        title="Gradient norm with and without each trick",
        ylabel="gradient norm, live weights",
        caption="In each panel a method and its variants.",
        panels=aggregate.by_family,
    ),
    _over_training(
        key=GRADIENT_FLOW,
        name="gradient_flow",
        title="Gradient flow with and without each trick",
        ylabel="sum of the layers' gradient norms",
        caption="Sum over layers of the norm of the loss's gradient, dead weights included, as in "
        "the EAST paper's Figure 5; on a fixed batch, not clipped. In each panel a method and its "
        "variants.",
        panels=aggregate.by_family,
        axes=Axes(symlog=True),
    ),
    _over_training(
        key="sparsity",
        name="sparsity",
        title="Sparsity over training",
        ylabel="sparsity, %",
        caption="Measured after every epoch.",
        unit=100.0,
        panels=aggregate.constant_merged,
        axes=Axes(own_y=True),
    ),
    _over_training(
        key="live_path_share",
        name="live_paths",
        title="Live paths over training",
        ylabel="live weights on a path, %",
        caption="Fraction of live weights that are on a path from the input to a class; at zero "
        "the output does not depend on the image, unless by an activation that mixes channels, as "
        "DyReLU does.",
        unit=100.0,
        panels=aggregate.sparse_only,
        axes=Axes(bottom=0, top=104),
    ),
    _over_training(
        key="live_channels",
        name="live_channels",
        title="Channels with a live weight over training",
        ylabel="channels with a live weight, %",
        caption="Fraction of the output channels of all layers that read anything. A channel "
        "without a live weight is constant.",
        unit=100.0,
        panels=aggregate.sparse_only,
        axes=Axes(bottom=0, top=104),
    ),
]


def _thinned(points: list[Any]) -> list[Any]:
    """Return every n-th point and the last, at most about _MAX_POINTS."""
    step = math.ceil(len(points) / _MAX_POINTS)
    return [point for i, point in enumerate(points, 1) if i % step == 0 or i == len(points)]
