"""Record files → results in cells; records that contradict themselves or others are rejected.

Two configurations in one cell, or one configuration on two sets of images, are never averaged, and
neither is preferred: all are rejected until one has another name. The same holds for two different
results of one configuration and seed. Copies of one result count once.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dstbench.boards.badges import Badge, Badges
from dstbench.boards.board import RejectedRecords
from dstbench.boards.cells import Column, Key, Result
from dstbench.boards.conflicts import conflicts
from dstbench.boards.curve_checks import curve_problems
from dstbench.boards.validation import inconsistencies
from dstbench.data.protocols import validation_accuracy
from dstbench.errors import UserError
from dstbench.recording import record as records
from dstbench.recording.configuration import configuration_of, origin_of
from dstbench.recording.types import Record
from dstbench.recording.uncounted import uncounted_text
from dstbench.sparsity import percent
from dstbench.utils.json_files import json_files
from dstbench.utils.listed import listed

_LISTED = 4  # differences that a message lists


def read_results(folder: Path) -> tuple[list[Result], list[RejectedRecords]]:
    """Return the results of a folder of records, and the records with inconsistencies.

    Raises UserError for a folder that cannot be read: a table without its results would be written.
    """
    consistent: list[tuple[str, Record]] = []
    rejected = []
    for path in json_files(folder):
        try:
            record = records.read(path)
        except UserError as error:
            message = error.message.removeprefix(f"{path}: ")
            rejected.append(RejectedRecords((path.stem,), message))
            continue
        problems = list(inconsistencies(record))
        if not problems:
            problems = list(curve_problems(record, folder.parent / "curves" / path.name))
        if problems:
            rejected.append(RejectedRecords((path.stem,), "; ".join(problems) + "."))
        else:
            consistent.append((path.stem, record))
    badges, refused = Badges(folder.parent), set[str]()
    for names, message in conflicts(consistent):
        rejected.append(RejectedRecords(names, f"{message}."))
        refused |= set(names)
    results = [
        result_from_record(record, name, badges.of(record, (folder / f"{name}.json").read_bytes()))
        for name, record in consistent
        if name not in refused
    ]
    return results, rejected


def result_from_record(record: Record, name: str, badge: Badge = "self-reported") -> Result:
    """Return the result of a record without inconsistencies.

    name: of its file, without ending.
    badge: how far it was checked.
    """
    accuracy, cost, provenance = record["accuracy"], record["cost"], record["provenance"]
    column = Column(
        record["dataset"], record["model"], record["recipe"], record["protocol"],
        record["precision"], float(record["sparsity"]["asked"]),
    )  # fmt: skip
    diverged = record["status"] == "diverged"
    shown = accuracy.get("shown")
    return Result(
        name=name,
        key=Key(record["method"], column),
        seed=record["seed"],
        diverged=diverged,
        accuracy=None if diverged else accuracy[shown],
        top5=accuracy.get("test_final_top5")
        if shown == "test_final"
        else accuracy.get("test_at_best_val_top5"),
        validation=validation_accuracy(record),
        collapsed=not diverged and record["health"]["collapsed"],
        selected_on_test=accuracy.get("selected_on_test", False),
        live=cost.get("live_weights"),
        prunable=cost.get("prunable_weights"),
        measured=record["sparsity"]["measured"],
        effective=record["sparsity"]["effective"],
        macs=cost.get("macs"),
        dense_macs=cost.get("dense_macs"),
        training_flops=cost.get("training_flops"),
        dense_training_flops=cost.get("dense_training_flops"),
        configuration=configuration_of(record),
        images=provenance.get("dataset_sha256"),
        sha256=record["config"]["sha256"],
        commit=provenance["commit"],
        device=provenance["device"],
        origin=origin_of(provenance),
        train_seconds=provenance.get("train_seconds"),
        command=_words(provenance["command"]),
        layers=tuple((one["name"], tuple(one["shape"])) for one in cost.get("layers", ())),
        live_zeros=record["health"].get("live_zeros"),
        unpruned=record["sparsity"].get("unpruned_fraction", 0.0),
        uncounted=uncounted_text(cost),
        dense_to_sparse=record.get("dense_to_sparse", False),
        badge=badge,
    )


def _words(command: Any) -> tuple[str, ...]:
    return tuple(map(str, command)) if isinstance(command, list) else (str(command),)


def group_by_cell(
    results: Iterable[Result],
) -> tuple[dict[Key, tuple[Result, ...]], list[RejectedRecords]]:
    """Return the results of each cell, by seed, and those that contradict one another."""
    groups: dict[Key, list[Result]] = defaultdict(list)
    for result in sorted(results, key=lambda r: (r.key, r.seed, r.name)):
        groups[result.key].append(result)
    filled, rejected = {}, []
    for key, group in groups.items():
        if difference := _difference(group):
            names = tuple(sorted(r.name for r in group))
            rejected.append(RejectedRecords(names, _two_configurations(key, difference)))
            continue
        kept, contradictions = _one_per_seed(group)
        rejected += contradictions
        if kept:
            filled[key] = tuple(kept)
    return filled, rejected


def _difference(group: list[Result]) -> str | None:
    """Return what differs between the configurations or images of one cell, if anything."""
    texts = sorted({r.configuration for r in group})
    if len(texts) > 1:
        lines: list[set[str]] = [set(text.splitlines()) for text in texts]
        common = lines[0].intersection(*lines[1:])
        names = sorted({line.partition(" = ")[0] for own in lines for line in own - common})
        return listed(names, _LISTED) or "the order of their lines"
    if len({r.images for r in group}) > 1:
        return "their images"
    return _network_difference([r for r in group if r.layers])


def _network_difference(group: list[Result]) -> str | None:
    """Return what differs between the networks of one cell's finished runs, if anything.

    A model's code, and files that it reads, are no part of a configuration; its network shows them.
    """
    differences: dict[str, set[Any]] = {
        "their number of prunable weights": {r.prunable for r in group},
        "the shapes of their layers": {r.layers for r in group},
        "their number of live weights": {r.live for r in group},
    }
    return next((name for name, values in differences.items() if len(values) > 1), None)


def _two_configurations(key: Key, difference: str) -> str:
    column = key.column
    cell = " · ".join([key.method, column.dataset, column.model, column.recipe, column.protocol,
                       column.precision, percent(column.sparsity)])  # fmt: skip
    return (
        f"are different configurations of one cell, {cell}: they differ in {difference}. Only "
        "seeds are averaged. Run one of them again under another Method.name or Run.recipe (or, "
        "for images, under another dataset name)."
    )


def _one_per_seed(group: list[Result]) -> tuple[list[Result], list[RejectedRecords]]:
    """Return one result per seed, of a group of one configuration."""
    by_seed: dict[int, list[Result]] = defaultdict(list)
    for result in group:
        by_seed[result.seed].append(result)
    kept, rejected = [], []
    for seed, same in by_seed.items():
        if len(same) == 1 or len({_without_origin(r) for r in same}) == 1:
            kept.append(same[0])
        else:
            rejected.append(
                RejectedRecords(
                    tuple(r.name for r in same),
                    f"are the same configuration and seed, {seed}, with different results. None is "
                    "preferred: keep the first run and delete the others.",
                )
            )
    return kept, rejected


def _without_origin(result: Result) -> Result:
    """Return the result without what may differ between copies: name, commit, device, time."""
    origin: dict[str, Any] = {"commit": None, "device": None, "train_seconds": None, "command": ()}
    origin |= {"badge": "self-reported", "origin": ()}
    return dataclasses.replace(result, name="", **origin)
