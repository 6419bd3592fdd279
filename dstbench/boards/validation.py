"""Validates records: inconsistencies, what a submitted record must have, duplicates.

Needs nothing but the record: no torch, and nothing in it is executed. An inconsistency keeps a
record off the board; a submission problem (no commit, changed code) only keeps it from being
submitted.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dstbench.boards.accuracy_checks import accuracy_problems
from dstbench.boards.config_checks import config_problems
from dstbench.boards.cost_checks import cost_problems
from dstbench.boards.names import name_problem
from dstbench.boards.network_contradictions import network_contradictions
from dstbench.boards.numbers import is_count, is_finite
from dstbench.boards.provenance_checks import provenance_problems, step_problems
from dstbench.recording.budget import budget_problem
from dstbench.recording.record import OVER
from dstbench.recording.run_name import run_name
from dstbench.recording.types import Record
from dstbench.sparsity import live_total

_SPARSITIES = ("measured", "effective")
_ROUNDING = 1e-9  # of sparsities computed in floating point


def inconsistencies(record: Record) -> Iterator[str]:
    """Yield a message for each reason why a record cannot be shown.

    record: as `dstbench.recording.record.read` returns it.
    """
    if record["status"] not in OVER:
        yield f"is not finished: its status is {record['status']!r}"
    name_problems = list(_name_problems(record))
    yield from name_problems
    about_provenance = list(provenance_problems(record["provenance"]))
    yield from about_provenance
    yield from _sparsity_problems(record)
    if not isinstance(record.get("dense_to_sparse", False), bool):
        yield f"dense_to_sparse is {record.get('dense_to_sparse')!r}, not true or false"
    if name_problems:
        return
    about_config = list(config_problems(record))
    yield from about_config
    if record["status"] == "finished":
        about_accuracy = list(accuracy_problems(record))
        yield from about_accuracy or network_contradictions(record)
        if not about_config:
            yield from cost_problems(record)
            if not about_provenance:
                yield from step_problems(record)


def _name_problems(record: Mapping[str, Any]) -> Iterator[str]:
    for key in ("method", "dataset", "model", "recipe", "protocol", "precision"):
        if not isinstance(record[key], str) or not record[key]:
            yield f"{key} is {record[key]!r}, not a name"
        elif problem := name_problem(record[key]):
            yield f"{key} {record[key]!r} {problem}"
    if not isinstance(record["seed"], int) or isinstance(record["seed"], bool):
        yield f"seed is {record['seed']!r}, not a whole number"


def _sparsity_problems(record: Mapping[str, Any]) -> Iterator[str]:
    sparsity = record["sparsity"]
    asked, measured, effective = (sparsity[key] for key in ("asked", *_SPARSITIES))
    if not is_finite(asked) or not 0 <= asked < 1:
        yield f"sparsity.asked is {asked!r}, not a fraction from 0 to below 1"
        return
    for key in _SPARSITIES:
        value = sparsity[key]
        if value is not None and (not is_finite(value) or not 0 <= value <= 1):
            yield f"sparsity.{key} is {value!r}, not a fraction from 0 to 1"
            return
    if record["status"] != "finished":
        return
    live, prunable = (record["cost"].get(key) for key in ("live_weights", "prunable_weights"))
    if not isinstance(live, int) or not isinstance(prunable, int) or not 0 <= live <= prunable:
        yield f"cost has {live!r} live of {prunable!r} prunable weights"
        return
    budget = live_total(asked, prunable)
    at_best = record["accuracy"].get("live_at_best")
    if at_best is not None and (not is_count(at_best) or at_best > budget):
        yield (
            f"accuracy.live_at_best is {at_best!r}: the network of the best epoch is above the "
            f"budget of {budget:,} live weights"
        )
    stored = record["cost"].get("stored_weights")
    if problem := budget_problem(asked, live, prunable, stored):
        yield f"is off its budget: {problem}"
    if measured is None or abs(measured - (1 - live / prunable)) > _ROUNDING:
        yield f"sparsity.measured is {measured!r}, but 1 − live/prunable is {1 - live / prunable!r}"
    elif effective is not None and effective < measured - _ROUNDING:
        yield f"sparsity.effective, {effective!r}, is below sparsity.measured, {measured!r}"


def record_name(record: Record) -> str:
    """Return the name that a record's content gives its file, without ending."""
    return run_name(
        method=record["method"],
        dataset=record["dataset"],
        model=record["model"],
        sparsity=record["sparsity"]["asked"],
        seed=record["seed"],
        sha256=record["config"]["sha256"],
    )


def submission_problems(record: Record, stem: str) -> Iterator[str]:
    """Yield a message for each reason why a consistent record cannot be submitted.

    stem: name of its file, without ending.
    """
    commit = record["provenance"]["commit"]
    if not isinstance(commit, str) or not commit:
        yield "has no commit: run it from a git checkout of dstbench"
    elif record["provenance"]["dirty"] is not False:
        yield f"was run with uncommitted changes to commit {commit[:8]}: commit first, then run"
    elif changed := [one for one in record["provenance"].get("history", []) if one.get("dirty")]:
        yield (
            f"was begun with uncommitted changes to commit {str(changed[0].get('commit'))[:8]}: "
            "commit first, then run"
        )
    if record["status"] == "finished":
        missing = [key for key in ("predictions", "network") if key not in record]
        if missing:
            yield f"lacks its {' and its '.join(missing)}: run it again with this version"
    name = record_name(record)
    if stem != name:
        yield f"has the wrong file name for its content: rename it to {name}.json"


def duplicates(records: Iterable[tuple[Path, Record]]) -> Iterator[tuple[Path, str]]:
    """Yield every record whose configuration and seed an earlier file has, with a message."""
    holders: dict[str, list[Path]] = defaultdict(list)
    for path, record in records:
        sha256 = record["config"]["sha256"]
        if holders[sha256]:
            yield path, f"has the same configuration and seed as {holders[sha256][0]}: keep one"
        holders[sha256].append(path)
