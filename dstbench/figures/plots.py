"""The figures there are: what each takes from the runs, and how its axes are called."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from dstbench.figures import series as of
from dstbench.figures.run_data import RunData
from dstbench.figures.series import Draft, Panel, Plot, Series

_POINTS = 125  # of a line, at most


def plots(runs: Sequence[RunData]) -> list[Plot]:
    """The figures of runs that may be compared; one that would be empty is left out."""
    every = [make(runs) for make in _FIGURES]
    return [plot for plot in every if any(panel.series for panel in plot.panels)]


def _accuracy_over_sparsity(runs: Sequence[RunData]) -> Plot:
    def one(method: str, group: list[RunData]) -> Series:
        values: dict[float, list[float]] = defaultdict(list)
        marks = []
        for run in group:
            if run.accuracy is not None:
                values[1 - run.sparsity].append(run.accuracy)
            if run.mark and run.sparsity:
                marks.append((run.mark, 1 - run.sparsity, run.accuracy))
        return of.series(method, values, marks)

    over = [run for run in runs if run.accuracy is not None or run.mark]
    sparsities = sorted({run.sparsity for run in over} - {0.0})
    return Plot(
        name="accuracy_over_sparsity",
        title="Accuracy over sparsity",
        caption="Test accuracy of finished runs: the median over seeds and, shaded, their range. "
        "As Figure 2 of the EAST paper.",
        xlabel="sparsity, % (spaced by the share that is left)",
        ylabel="test accuracy, %",
        axes={"sparsities": sparsities},
        panels=[Panel("", of.by_method(runs, one))],
    )


def _positive_by_layer(runs: Sequence[RunData]) -> Plot:
    def one(method: str, group: list[RunData]) -> Series:
        values: dict[float, list[float]] = defaultdict(list)
        for run in group:
            shares = [] if run.mark == "diverged" else run.layers_positive.values()
            for number, share in enumerate(shares, 1):
                if share is not None:
                    values[number].append(100 * share)
        return of.series(method, values)

    return Plot(
        name="positive_preactivations",
        title="Positive pre-activations by layer",
        caption="Share of positive inputs of every activation of the finished network; where it "
        "is zero, no gradient passes. As Figure 3 of the EAST paper, left.",
        xlabel="activation, from the input on",
        ylabel="positive pre-activations, %",
        axes={"bottom": 0},
        panels=of.by_sparsity(runs, one),
    )


def _over_training(
    key: str,
    name: str,
    title: str,
    ylabel: str,
    caption: str,
    unit: float = 1.0,
    panels: Callable[[Sequence[RunData], Draft], list[Panel]] = of.by_sparsity,
    **axes: Any,
) -> Callable[[Sequence[RunData]], Plot]:
    """A figure of one number of the curves, times `unit`, over the epochs.

    Of long runs every few epochs are shown, so that files stay small.
    """

    def one(method: str, group: list[RunData]) -> Series:
        values: dict[float, list[float]] = defaultdict(list)
        marks = []
        for run in group:
            known = [(e["epoch"], unit * e[key]) for e in run.curves if e.get(key) is not None]
            for epoch, value in _thinned(known):
                values[epoch].append(value)
            if run.mark and known:
                marks.append((run.mark, *known[-1]))
        return of.series(method, values, marks)

    def make(runs: Sequence[RunData]) -> Plot:
        return Plot(name, title, caption, "epoch", ylabel, axes, panels(runs, one))

    return make


_GRADIENT: dict[str, Any] = {"key": "grad_norm_live", "y": "symlog"}

_FIGURES: list[Callable[[Sequence[RunData]], Plot]] = [
    _accuracy_over_sparsity,
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
        caption="Share of positive inputs of all activations. As Figure 3 of the EAST paper, "
        "right.",
        unit=100.0,
        bottom=0,
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
        caption="In each panel a method and those that add to it. As Figure 5 of the EAST paper.",
        panels=of.by_family,
    ),
    _over_training(
        key="sparsity",
        name="sparsity",
        title="Sparsity over training",
        ylabel="sparsity, %",
        caption="Measured after every epoch. As Figure 6 of the EAST paper, left.",
        unit=100.0,
        panels=of.joined,
        own_y=True,
    ),
    _over_training(
        key="live_path_share",
        name="live_paths",
        title="Live paths over training",
        ylabel="live weights on a path, %",
        caption="Share of live weights that lie on a path from the image to a class; at zero "
        "nothing of the image arrives.",
        unit=100.0,
        panels=of.sparse_only,
        bottom=0,
        top=104,
    ),
]


def _thinned(points: list[Any]) -> list[Any]:
    """Every n-th of many points, with the last."""
    step = math.ceil(len(points) / _POINTS)
    return [point for i, point in enumerate(points, 1) if i % step == 0 or i == len(points)]
