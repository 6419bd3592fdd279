"""Loads runs for figures: run folders → RunData, grouped by what makes runs comparable."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from dstbench.config.shared_settings import comparable_lines, differing
from dstbench.errors import UserError
from dstbench.figures.gradient_flow import GRADIENT_FLOW, gradient_flow
from dstbench.recording import record
from dstbench.recording.configuration import configuration_of
from dstbench.recording.curves import read_curves
from dstbench.recording.file_names import CURVES, RECORD
from dstbench.recording.run_name import slug
from dstbench.recording.types import Record
from dstbench.sparsity import percent
from dstbench.utils.printable import utf8


class Setting(NamedTuple):
    """What runs must have in common to be drawn in one figure."""

    dataset: str
    model: str
    recipe: str
    protocol: str
    precision: str
    variant: str = ""  # what differs from other settings of the same names

    @property
    def slug(self) -> str:
        """The setting as a folder name; a variant, which may be long, by its hash."""
        names = self[:-1]
        if not self.variant:
            return slug(*names)
        return slug(*names, hashlib.sha256(utf8(self.variant)).hexdigest()[:8])

    @property
    def title(self) -> str:
        """The setting in one line."""
        return " · ".join(filter(None, self))


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
    macs: of one image, as a fraction of the dense network's; None while it is not finished.
    training: FLOPs of the run, as a fraction of the dense network's; None where not counted.
    configuration: gin text without the seed, and hashes of plugins.
    images: sha256 of the images.
    """

    setting: Setting
    method: str
    sparsity: float
    accuracy: float | None
    mark: str | None
    layers_positive: Mapping[str, float | None]
    curves: Sequence[Mapping[str, Any]]
    macs: float | None = None
    training: float | None = None
    configuration: str = field(default="", repr=False)
    images: str = ""


def load_runs(folders: Iterable[Path]) -> list[RunData]:
    """Return the runs of these folders that have finished at least one epoch.

    Raises UserError when there is none, a folder does not exist, or a record or curve cannot be
        read.
    """
    runs = []
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such run folder.")
        curves = read_curves(folder / CURVES)
        if curves:
            runs.append(run_from_record(record.read(folder / RECORD), curves))
    if not runs:
        raise UserError(
            "none of these run folders holds a finished epoch: there is nothing to draw."
        )
    return with_variants(runs)


def with_variants(runs: Sequence[RunData]) -> list[RunData]:
    """Return the runs with settings apart that differ in more than the method's own parameters.

    Raises UserError for two configurations of one method at one sparsity in one setting: a table
    would not average them either.
    """
    groups: dict[Setting, list[RunData]] = defaultdict(list)
    for run in runs:
        groups[run.setting].append(run)
    found: list[RunData] = []
    for group in groups.values():
        shared = [comparable_lines(run.configuration, run.images) for run in group]
        distinct = list(dict.fromkeys(shared))
        names = dict(zip(distinct, differing(distinct), strict=True))
        found += [
            replace(run, setting=run.setting._replace(variant=names[lines]))
            for run, lines in zip(group, shared, strict=True)
        ]
    configurations: dict[tuple[Setting, str, float], str] = {}
    for run in found:
        key = (run.setting, run.method, run.sparsity)
        first = configurations.setdefault(key, run.configuration)
        if run.configuration != first:
            lines = [frozenset(text.splitlines()) for text in (first, run.configuration)]
            what = " against ".join(text or "nothing" for text in differing(lines))
            raise UserError(
                f"{run.method} at {percent(run.sparsity)} ({run.setting.title}) has two "
                f"configurations, which differ in {what}. Only seeds are pooled: name the folders "
                "of one of them, or give one another Method.name."
            )
    return found


def cost_fraction(part: int | None, whole: int | None) -> float | None:
    """Return a cost relative to the dense network's; None where either is unknown."""
    return part / whole if part is not None and whole else None


def run_from_record(record: Record, curves: Sequence[Mapping[str, Any]]) -> RunData:
    """Return the data of a run with this record and at least one epoch of curves."""
    finished = record["status"] == "finished"
    accuracy, health, cost = record["accuracy"], record["health"], record["cost"]
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
        curves=[{**line, GRADIENT_FLOW: gradient_flow(line)} for line in curves],
        macs=cost_fraction(cost.get("macs"), cost.get("dense_macs")),
        training=cost_fraction(cost.get("training_flops"), cost.get("dense_training_flops")),
        configuration=configuration_of(record),
        images=record["provenance"]["dataset_sha256"],
    )


def by_setting(runs: Iterable[RunData]) -> dict[Setting, list[RunData]]:
    """Return the runs grouped by setting, the settings sorted."""
    groups: dict[Setting, list[RunData]] = defaultdict(list)
    for run in runs:
        groups[run.setting].append(run)
    return dict(sorted(groups.items()))
