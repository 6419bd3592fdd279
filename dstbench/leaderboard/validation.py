"""Validates records: inconsistencies, what a submitted record must have, duplicates.

Needs nothing but the record. An inconsistency keeps a record off the board; a submission problem
(no commit, changed code) only keeps it from being submitted.
"""

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dstbench.records.record import OVER
from dstbench.records.run_name import run_name
from dstbench.records.types import Record
from dstbench.sparsity import live_total, percent

_ACCURACIES = ("test_final", "test_at_best_val", "best_val", "val_final")
_SPARSITIES = ("measured", "effective")
_ROUNDING = 1e-9  # of sparsities computed in floating point


def inconsistencies(record: Record) -> Iterator[str]:
    """Yield a message for each reason why a record cannot be shown.

    record: as `dstbench.records.record.read` returns it.
    """
    if record["status"] not in OVER:
        yield f"is not finished: its status is {record['status']!r}"
    text, sha256 = record["config"]["text"], record["config"]["sha256"]
    name_problems = list(_name_problems(record))
    yield from name_problems
    if not isinstance(text, str) or hashlib.sha256(text.encode()).hexdigest() != sha256:
        yield "config.sha256 is not that of config.text: one of them was changed"
    elif not name_problems:
        yield from _config_mismatches(text, record)
    yield from _provenance_problems(record["provenance"])
    yield from _sparsity_problems(record)
    if record["status"] == "finished":
        yield from _accuracy_problems(record)


def _name_problems(record: Mapping[str, Any]) -> Iterator[str]:
    for key in ("method", "dataset", "model", "recipe", "protocol", "precision"):
        if not isinstance(record[key], str) or not record[key]:
            yield f"{key} is {record[key]!r}, not a name"
    if not isinstance(record["seed"], int) or isinstance(record["seed"], bool):
        yield f"seed is {record['seed']!r}, not a whole number"


def _config_mismatches(text: str, record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each field that differs from the record's own configuration."""
    set_to = dict(re.findall(r"^(\S+) = (.*)$", text, re.MULTILINE))
    dataset = set_to.get("Run.dataset", "").strip("'").rpartition("/")[2]  # may be a folder
    method = set_to.get("Run.method", "@Method()").strip("@()")
    pairs = {
        "method": (set_to.get(f"{method}.name"), repr(record["method"])),
        "dataset": (dataset or None, record["dataset"]),
        "model": (set_to.get("Run.model"), f"@{record['model']}"),
        **{
            key: (set_to.get(f"Run.{key}"), repr(record[key]))
            for key in ("recipe", "protocol", "precision", "seed")
        },
    }
    for key, (configured, claimed) in pairs.items():
        if configured not in (None, claimed):
            yield f"{key} is {record[key]!r}, but its configuration has {configured}"


def _provenance_problems(provenance: Mapping[str, Any]) -> Iterator[str]:
    images = provenance.get("dataset_sha256")
    if images is not None and not isinstance(images, str):
        yield f"provenance.dataset_sha256 is {images!r}, not a hash"
    plugins = provenance.get("plugins", {})
    if not isinstance(plugins, dict):
        yield f"provenance.plugins is {plugins!r}, not hashes by name"


def _sparsity_problems(record: Mapping[str, Any]) -> Iterator[str]:
    sparsity = record["sparsity"]
    asked, measured, effective = (sparsity[key] for key in ("asked", *_SPARSITIES))
    if not _is_finite(asked) or not 0 <= asked < 1:
        yield f"sparsity.asked is {asked!r}, not a fraction from 0 to below 1"
        return
    for key in _SPARSITIES:
        value = sparsity[key]
        if value is not None and (not _is_finite(value) or not 0 <= value <= 1):
            yield f"sparsity.{key} is {value!r}, not a fraction from 0 to 1"
            return
    if record["status"] != "finished":
        return
    live, prunable = (record["cost"].get(key) for key in ("live_weights", "prunable_weights"))
    if not isinstance(live, int) or not isinstance(prunable, int) or not 0 <= live <= prunable:
        yield f"cost has {live!r} live of {prunable!r} prunable weights"
        return
    if live != (budget := live_total(asked, prunable)):
        yield (
            f"is off its budget: {live:,} live weights, where {percent(asked)} of {prunable:,} "
            f"leaves {budget:,}"
        )
    if measured is None or abs(measured - (1 - live / prunable)) > _ROUNDING:
        yield f"sparsity.measured is {measured!r}, but 1 − live/prunable is {1 - live / prunable!r}"
    elif effective is not None and effective < measured - _ROUNDING:
        yield f"sparsity.effective, {effective!r}, is below sparsity.measured, {measured!r}"


def _accuracy_problems(record: Mapping[str, Any]) -> Iterator[str]:
    accuracy = record["accuracy"]
    for key in _ACCURACIES:
        value = accuracy[key]
        if value is not None and (not _is_finite(value) or not 0 <= value <= 100):
            yield f"accuracy.{key} is {value!r}, not a percentage"
    shown = accuracy["shown"]
    if shown not in ("test_final", "test_at_best_val"):
        yield f"accuracy.shown is {shown!r}, not test_final or test_at_best_val"
    elif accuracy[shown] is None:
        yield f"has no accuracy to show: accuracy.{shown} is empty"
    for section, key in (("accuracy", "selected_on_test"), ("health", "collapsed")):
        if not isinstance(record[section].get(key), bool):
            yield f"{section}.{key} is {record[section].get(key)!r}, not true or false"


def submission_problems(record: Record, stem: str) -> Iterator[str]:
    """Yield a message for each reason why a consistent record cannot be submitted.

    stem: name of its file, without ending.
    """
    commit = record["provenance"]["commit"]
    if not isinstance(commit, str) or not commit:
        yield "has no commit: run it from a git checkout of dstbench"
    elif record["provenance"]["dirty"] is not False:
        yield f"was run with uncommitted changes to commit {commit[:8]}: commit first, then run"
    name = run_name(
        method=record["method"],
        dataset=record["dataset"],
        model=record["model"],
        sparsity=record["sparsity"]["asked"],
        seed=record["seed"],
        sha256=record["config"]["sha256"],
    )
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


def _is_finite(value: Any) -> bool:
    """Whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
