"""Checks the provenance of a record: forms of its values, times, and steps of the engines."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dstbench.boards.numbers import is_count, is_finite
from dstbench.boards.run_size import run_size
from dstbench.recording.types import ENGINES

_COMMIT = re.compile(r"[0-9a-f]{40}")


def provenance_problems(provenance: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each impossible value in a record's provenance."""
    images = provenance.get("dataset_sha256")
    if images is not None and not isinstance(images, str):
        yield f"provenance.dataset_sha256 is {images!r}, not a hash"
    attempt = provenance["attempt"]
    if not isinstance(attempt, str) or not attempt:
        yield f"provenance.attempt is {attempt!r}, not an id"
    commit = provenance["commit"]
    if commit is not None and not (isinstance(commit, str) and _COMMIT.fullmatch(commit)):
        yield f"provenance.commit is {commit!r}, not 40 hexadecimal digits"
    steps = provenance.get("engine_steps", {})
    if not isinstance(steps, dict) or not all(
        name in ENGINES and is_count(count) for name, count in steps.items()
    ):
        yield f"provenance.engine_steps is {steps!r}, not steps by {' or '.join(ENGINES)}"
    plugins = provenance.get("plugins", {})
    if not isinstance(plugins, dict):
        yield f"provenance.plugins is {plugins!r}, not hashes by name"
    yield from _time_problems(provenance)


def step_problems(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message if the engines' steps do not add up to those of a finished run.

    record: whose configuration and provenance are without problems.
    """
    steps, size = record["provenance"].get("engine_steps"), run_size(record)
    if not steps or size is None:  # older records have no steps
        return
    added, expected = sum(steps.values()), size.epochs * size.steps
    if added != expected:
        yield (
            f"provenance.engine_steps add up to {added:,}; {size.epochs} epochs of {size.steps:,} "
            f"steps are {expected:,}"
        )


def _time_problems(provenance: Mapping[str, Any]) -> Iterator[str]:
    started, ended, seconds = (
        provenance.get(name) for name in ("started", "ended", "train_seconds")
    )
    for name, value in (("started", started), ("ended", ended), ("train_seconds", seconds)):
        if value is not None and (not is_finite(value) or value < 0):
            yield f"provenance.{name} is {value!r}, not a number of seconds from 0"
            return
    if started is not None and ended is not None and ended < started:
        yield f"provenance.ended is {ended}, before provenance.started, {started}"
