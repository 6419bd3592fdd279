"""Checks a record against its own configuration."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from dstbench.config.resolved_text import ResolvedText, read_resolved
from dstbench.config.suite_methods import makes_class_with, other_parts
from dstbench.errors import UserError


def config_problems(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each contradiction between a record and its configuration.

    record: with valid names and seed.
    """
    text, sha256 = record["config"]["text"], record["config"]["sha256"]
    if not isinstance(text, str) or hashlib.sha256(text.encode()).hexdigest() != sha256:
        yield "config.sha256 is not that of config.text: one of them was changed"
        return
    try:
        resolved = read_resolved(text)
    except UserError as error:
        yield f"config.text {error.message}"
        return
    pairs: dict[str, tuple[Any, Any]] = {
        "method": (resolved.method, record["method"]),
        "model": (resolved.model, record["model"]),
        "dataset": (
            str(resolved.bindings["Run.dataset"]).rpartition("/")[2],  # may be a folder
            record["dataset"],
        ),
        **{
            key: (resolved.bindings[f"Run.{key}"], record[key])
            for key in ("recipe", "protocol", "precision", "seed")
        },
    }
    for key, (configured, claimed) in pairs.items():
        if type(configured) is not type(claimed) or configured != claimed:
            yield f"{key} is {claimed!r}, but its configuration has {configured!r}"
    if problem := other_parts(resolved.bindings):
        yield f"{problem}: only the same parts may have this name"
    yield from _sparsity_problem(resolved, record)
    yield from _dense_to_sparse_problem(resolved, record)


def _sparsity_problem(resolved: ResolvedText, record: Mapping[str, Any]) -> Iterator[str]:
    asked, configured = record["sparsity"]["asked"], resolved.sparsities
    if not configured and has_own_parts(resolved, record):
        return  # one of them may name it differently
    numbers = [value for value in configured if isinstance(value, int | float)]
    expected = max(numbers, default=0.0)
    if asked != expected:
        yield f"sparsity.asked is {asked!r}, but its configuration has {expected!r}"


def _dense_to_sparse_problem(resolved: ResolvedText, record: Mapping[str, Any]) -> Iterator[str]:
    if has_own_parts(resolved, record):
        return
    claimed = record.get("dense_to_sparse", False)
    expected = makes_class_with("dense_to_sparse", resolved.bindings)
    if isinstance(claimed, bool) and claimed is not expected:
        yield f"dense_to_sparse is {claimed}; for the parts of its configuration it is {expected}"


def has_own_parts(resolved: ResolvedText, record: Mapping[str, Any]) -> bool:
    """Return whether a run may have parts that are not of the suite."""
    return bool(record["provenance"].get("plugins")) or not resolved.is_of_the_suite
