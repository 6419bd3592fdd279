"""Figures of finished and running runs, drawn from their folders: records and curves, nothing else.

Each function draws one figure; seeds of the same method and sparsity share a colour, their median a
line and their range a band. Needs matplotlib (`pip install 'dstbench[plots]'`); no torch.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from dstbench import record
from dstbench.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class RunData:
    """A run's record and the lines of its curves."""

    record: dict[str, Any]
    curves: list[dict[str, Any]]

    @property
    def method(self) -> str:
        return self.record["method"]

    @property
    def sparsity(self) -> float:
        return self.record["sparsity"]["asked"]


def read(folders: Iterable[Path]) -> list[RunData]:
    """The runs in these folders that have at least one finished epoch."""
    runs = []
    for folder in folders:
        path = folder / "curves.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        if lines:
            curves = [json.loads(line) for line in lines]
            runs.append(RunData(record.read(folder / "record.json"), curves))
    if not runs:
        raise UserError(
            "none of these run folders holds a finished epoch: there is nothing to draw."
        )
    return runs


def accuracy_over_sparsity(axes: "Axes", runs: list[RunData]) -> None:
    """Test accuracy of finished runs over sparsity (Figure 2 of the EAST paper)."""
    points: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if run.record["status"] == "finished":
            shown = run.record["accuracy"][run.record["accuracy"]["shown"]]
            points[run.method][run.sparsity].append(shown)
    for method, by_sparsity in sorted(points.items()):
        dead = sorted(by_sparsity, reverse=True)
        _band(axes, [1 - s for s in dead], [by_sparsity[s] for s in dead], method, marker="o")
    axes.set(xscale="log", xlabel="live weights, share of the network", ylabel="test accuracy, %")
    axes.invert_xaxis()


def over_training(key: str, label: str, **options: Any) -> Callable[["Axes", list[RunData]], None]:
    """A figure of one number of the curves over the run."""

    def draw(axes: "Axes", runs: list[RunData]) -> None:
        for (method, _), group in _grouped(runs):
            length = min(len(run.curves) for run in group)
            epochs = [line["epoch"] for line in group[0].curves[:length]]
            values = [[run.curves[i][key] for run in group] for i in range(length)]
            if not any(v is None for row in values for v in row):
                _band(axes, epochs, values, method)
        axes.set(xlabel="epoch", ylabel=label, **options)

    return draw


def positive_by_layer(axes: "Axes", runs: list[RunData]) -> None:
    """Share of positive pre-activations at every activation, at the end (Figure 3)."""
    for (method, _), group in _grouped(runs):
        layers = [run.curves[-1]["layers_positive"] for run in group]
        sites = list(layers[0])
        values = [[100 * one[site] for one in layers if site in one] for site in sites]
        _band(axes, list(range(1, len(sites) + 1)), values, method)
    axes.set(
        xlabel="activation, from the input on", ylabel="positive pre-activations, %", ylim=(0, None)
    )


FIGURES: dict[str, Callable[["Axes", list[RunData]], None]] = {
    "accuracy_over_sparsity": accuracy_over_sparsity,
    "positive_preactivations": positive_by_layer,
    "gradient_norm": over_training(
        "grad_norm_live", "gradient norm over live weights", yscale="symlog"
    ),
    "sparsity": over_training("sparsity", "sparsity"),
    "live_paths": over_training("live_path_share", "share of live weights on a path"),
}


def draw(runs: list[RunData], into: Path) -> list[Path]:
    """Write every figure as PNG and SVG; over one sparsity each, where a figure is about time.

    Raises UserError when matplotlib is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("drawing needs matplotlib: pip install 'dstbench[plots]'") from None
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {into}: cannot be made ({error.strerror}).") from None
    written = []
    for name, one in FIGURES.items():
        together = name == "accuracy_over_sparsity"
        panels = [None] if together else sorted({run.sparsity for run in runs})
        figure = Figure(figsize=(5.6 * len(panels), 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        (row,) = figure.subplots(1, len(panels), squeeze=False)
        for axes, sparsity in zip(row, panels, strict=True):
            one(axes, [r for r in runs if sparsity is None or r.sparsity == sparsity])
            if sparsity is not None:
                axes.set_title(f"{100 * sparsity:g} % sparsity", fontsize=10)
            axes.grid(alpha=0.3)
        written += _save(figure, into / name)
    return written


def _save(figure: "Figure", stem: Path) -> list[Path]:
    """One legend for all panels, then the files."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=8, frameon=False)
    paths = [stem.with_suffix(".png"), stem.with_suffix(".svg")]
    for path in paths:
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    return paths


def _grouped(runs: list[RunData]) -> list[tuple[tuple[str, float], list[RunData]]]:
    groups: dict[tuple[str, float], list[RunData]] = defaultdict(list)
    for run in runs:
        groups[run.method, run.sparsity].append(run)
    return sorted(groups.items())


def _band(axes: "Axes", xs: list[Any], values: list[list[float]], label: str, **style: Any) -> None:
    """The median as a line, the range over seeds as a band."""
    (line,) = axes.plot(xs, [median(v) for v in values], label=label, linewidth=1.6, **style)
    axes.fill_between(
        xs, [min(v) for v in values], [max(v) for v in values], color=line.get_color(), alpha=0.15
    )
