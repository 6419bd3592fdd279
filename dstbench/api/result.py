"""A run that is over, or that was stopped: its record, its curves, its network."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from dstbench.api.find_run import find
from dstbench.api.given_paths import optional_path, path_of, paths
from dstbench.config.gin_state import isolated
from dstbench.errors import UserError
from dstbench.recording.curves import read_curves
from dstbench.recording.file_names import CURVES, RECORD
from dstbench.recording.record import read
from dstbench.recording.run_summary import run_summary, summary_rows
from dstbench.recording.types import Record
from dstbench.training import trained_network
from dstbench.training.outcome import Outcome
from dstbench.training.trained_network import TrainedNetwork
from dstbench.utils.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

    from dstbench.core.masks import Masks

    class Network(nn.Module):
        """A trained torch module with its masks, in eval mode.

        It maps images (B, *image_shape), each channel normalised by mean and std, to logits
        (B, classes).
        """

        masks: Masks
        image_shape: tuple[int, int, int]
        classes: tuple[str, ...]
        mean: tuple[float, ...]
        std: tuple[float, ...]


class Result:
    """What a run left in its folder.

    path: the run's folder.
    record: what record.json holds; `dstbench.recording.types.Record` documents every field.
    tracked: where the run is in MLflow; empty if not known.
    exit_code: of the command line.
    """

    def __init__(self, path: Path, record: Record, tracked: str = "", exit_code: int = 0):
        self.path, self.record = path, record
        self.tracked, self.exit_code = tracked, exit_code

    @classmethod
    def of(cls, outcome: Outcome) -> Result:
        """Return the result of a run that was carried out now."""
        return cls(outcome.path, outcome.record, outcome.tracked, outcome.exit_code)

    @property
    def status(self) -> str:
        """'finished', 'diverged', 'interrupted', 'failed' or 'running'."""
        return self.record["status"]

    @property
    def accuracy(self) -> float | None:
        """Accuracy on the test images after the last epoch, percent; None without a finished run.

        `record["accuracy"]` also has that at the best validation epoch.
        """
        return self.record["accuracy"].get("test_final")

    def curves(self) -> pd.DataFrame:
        """Return one row an epoch: losses, accuracies, learning rate, health.

        `dstbench.recording.types.EpochLine` documents the columns; values per layer are left out.

        Raises UserError when they cannot be read.
        """
        rows = [_scalars(line) for line in read_curves(self.path / CURVES)]
        return pd.DataFrame(rows).set_index("epoch") if rows else pd.DataFrame()

    def layers(self) -> pd.DataFrame:
        """Return one row a prunable tensor: live weights, size, density, MACs."""
        rows = self.record["cost"].get("layers")
        if not rows:
            raise UserError(f"{self.path}: this run is not finished ({self.status}).")
        table = pd.DataFrame(rows).set_index("name")
        table.insert(3, "density", table["live"] / table["size"])
        return table

    def network(self, best: bool = False, plugins: Sequence[str | Path] = ()) -> Network:
        """Return the trained network as a torch module, in fp32 on the CPU, in eval mode.

        best: that of the epoch with the best validation accuracy, instead of the last one.
        plugins: Python files that the run needs, where they are not loaded yet.

        `network.masks[name]` is a tensor's mask; `masks.index(name)` its live positions.

        Raises UserError when the run is not finished, or its network is not there.
        """
        trained = self.trained_network(best, plugins)
        model = cast("Network", trained.model)
        model.masks, model.image_shape = trained.masks, trained.image_shape
        model.classes, model.mean, model.std = trained.classes, trained.mean, trained.std
        return model

    def trained_network(
        self, best: bool = False, plugins: Sequence[str | Path] = ()
    ) -> TrainedNetwork:
        """Return the network with all that deploying it needs. Raises UserError as `network`."""
        with isolated():
            return trained_network.load(self.path, plugins=paths(plugins), best=best)

    def plot(self) -> Figure:
        """Return a figure of loss, accuracy and live paths over the epochs (needs matplotlib).

        Raises UserError when the folder has no curves.
        """
        from dstbench.api.plots import plot_curves

        curves = self.curves()
        if curves.empty:
            raise UserError(
                f"{self.path}: has no finished epoch in {CURVES}, so there is nothing to draw. A "
                "folder that was made of a leaderboard's record has no curves; "
                "leaderboard/figures/ shows them."
            )
        return plot_curves(curves, str(self))

    def __repr__(self) -> str:
        record, accuracy = self.record, self.accuracy
        found = self.status if accuracy is None else f"{accuracy:.2f} %"
        return (
            f"{record['method']} · {record['model']} · {record['dataset']} · "
            f"sparsity {record['sparsity']['asked']:g} · seed {record['seed']}: {found}"
        )

    def summary(self) -> str:
        """Return what `dstbench run` prints at the end."""
        return printable(
            run_summary(self.record, str(self.path / RECORD), self.tracked or "not looked up")
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td style='text-align:left'>{html.escape(label)}</td>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for label, value in [*summary_rows(self.record), ("folder", printable(str(self.path)))]
        )
        return f"<table>{rows}</table>"


def load(
    run: str | Path,
    *,
    runs: str | Path = "runs",
    tracking: str | None = None,
    data_root: str | Path | None = None,
    cache: str | Path | None = None,
) -> Result:
    """Return the result of an earlier run.

    run: its folder, its name below `runs`, its record's file, also a leaderboard's, or its MLflow
        run id. What is not in `runs` is written there.
    tracking: MLflow store, for an id; None for the default.
    data_root, cache: folders of datasets and of decoded data, for a leaderboard's record.

    Raises UserError when there is no such run.
    """
    if not isinstance(run, str | Path):
        raise UserError(
            f"load: expected a run's folder, name, record file or MLflow id, not a "
            f"{type(run).__name__}."
        )
    root, decoded = optional_path("data_root", data_root), optional_path("cache", cache)
    path = find(str(run), path_of("runs", runs), tracking, root, decoded)
    return Result(path, read(path / RECORD))


def _scalars(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if not isinstance(value, dict | str)}
