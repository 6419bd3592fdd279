"""Loads runs for figures: run folders → RunData, grouped by what makes runs comparable."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dstbench.errors import UserError
from dstbench.records import record
from dstbench.records.file_names import CURVES, RECORD
from dstbench.records.run_name import slug
from dstbench.records.types import EpochLine, Record


class Setting(NamedTuple):
    """What runs must have in common to be drawn in one figure."""

    dataset: str
    model: str
    recipe: str
    protocol: str
    precision: str

    @property
    def slug(self) -> str:
        """The setting as a folder name."""
        return slug(*self)


@dataclass(frozen=True)
class RunData:
    """What figures show of one run.

    setting: runs of different settings are never in one figure.
    method: its name.
    sparsity: the requested fraction of weights removed; 0 for a dense network.
    accuracy: on the test images, in percent; None while the run is not finished.
    mark: "diverged", "collapsed" or None.
    layers_positive: activation → fraction of positive inputs, at the end of training.
    curves: one mapping of metrics for each epoch; empty when they were not kept.
    """

    setting: Setting
    method: str
    sparsity: float
    accuracy: float | None
    mark: str | None
    layers_positive: Mapping[str, float | None]
    curves: Sequence[Mapping[str, Any]]


def load_runs(folders: Iterable[Path]) -> list[RunData]:
    """Return the runs of these folders that have finished at least one epoch.

    Raises UserError when there is none, or a record or curve cannot be read.
    """
    runs = []
    for folder in folders:
        curves = _read_curves(folder / CURVES)
        if curves:
            runs.append(run_from_record(record.read(folder / RECORD), curves))
    if not runs:
        raise UserError(
            "none of these run folders holds a finished epoch: there is nothing to draw."
        )
    return runs


def run_from_record(record: Record, curves: Sequence[Mapping[str, Any]]) -> RunData:
    """Return the data of a run with this record and at least one epoch of curves."""
    finished = record["status"] == "finished"
    accuracy, health = record["accuracy"], record["health"]
    collapsed = "collapsed" if health.get("collapsed") else None
    return RunData(
        setting=Setting(
            record["dataset"],
            record["model"],
            record["recipe"],
            record["protocol"],
            record["precision"],
        ),
        method=record["method"],
        sparsity=record["sparsity"]["asked"] or 0.0,
        accuracy=accuracy[accuracy["shown"]] if finished else None,
        mark="diverged" if record["status"] == "diverged" else collapsed,
        layers_positive=health.get("layers_positive") or curves[-1].get("layers_positive") or {},
        curves=curves,
    )


def by_setting(runs: Iterable[RunData]) -> dict[Setting, list[RunData]]:
    """Return the runs grouped by setting, the settings sorted."""
    groups: dict[Setting, list[RunData]] = defaultdict(list)
    for run in runs:
        groups[run.setting].append(run)
    return dict(sorted(groups.items()))


def _read_curves(path: Path) -> list[EpochLine]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise UserError(f"{path}: holds no curves: it is not JSON lines ({error}).") from None
