"""Converts records, configurations and curves to MLflow's tags, params and metrics.

Pure functions; MLflow is not imported.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from dstbench.recording.types import EpochLine, Record

HASH, ATTEMPT = "dstbench.config_sha256", "dstbench.attempt"
EPOCH: Final = "epoch"  # this metric is sent last: where it exists, its epoch is complete

_TAGS = ("method", "dataset", "model", "recipe", "protocol", "precision", "seed", "status")
_RESULTS: tuple[Literal["sparsity", "accuracy", "cost", "health"], ...] = (
    "sparsity",
    "accuracy",
    "cost",
    "health",
)
_NAME_LENGTH = 250  # MLflow's limit


class Row(NamedTuple):
    """One value of a metric.

    name: a name that MLflow accepts.
    value: the number.
    time: milliseconds since 1970.
    step: the epoch.
    """

    name: str
    value: float
    time: int
    step: int


def tags(record: Record) -> dict[str, str]:
    """Return the tags of a record, by which runs are searched."""
    return {
        **{key: str(value) for key, value in record.items() if key in _TAGS},
        "sparsity": str(record["sparsity"]["asked"]),
        "error": record["error"] or "",
        HASH: record["config"]["sha256"],
        ATTEMPT: record["provenance"]["attempt"],
    }


def params(config: str) -> dict[str, str]:
    """Return a param `A.b` for every line `A.b = value` of a gin text."""
    pairs = (line.split(" = ", 1) for line in config.splitlines() if " = " in line)
    return {allowed(name): value for name, value in pairs}


def epoch_rows(line: EpochLine) -> list[Row]:
    """Return the metrics of a line of the curves; those of layers as name/layer, `epoch` last."""
    when, step = milliseconds(line["time"]), int(line[EPOCH])
    figures = _numbers({name: v for name, v in line.items() if name not in ("time", EPOCH)})
    rows = [Row(name, value, when, step) for name, value in figures]
    return [*rows, Row(EPOCH, float(step), when, step)]


def result_rows(record: Record) -> list[Row]:
    """Return the numbers of a finished record as section/name, without those of layers."""
    when = milliseconds(record["provenance"]["ended"] or record["provenance"]["started"])
    flat: dict[str, Any] = {
        section: {name: v for name, v in record[section].items() if not isinstance(v, Mapping)}
        for section in _RESULTS
    }
    return [Row(name, value, when, 0) for name, value in _numbers(flat)]


def batches(epochs: Iterable[list[Row]], limit: int) -> Iterator[list[Row]]:
    """Yield all rows, at most `limit` at a time; only an epoch of more rows is split."""
    batch: list[Row] = []
    for rows in epochs:
        if batch and len(batch) + len(rows) > limit:
            yield batch
            batch = []
        batch = batch + rows
        while len(batch) > limit:
            yield batch[:limit]
            batch = batch[limit:]
    if batch:
        yield batch


def allowed(name: str) -> str:
    """Return the name with characters and path parts replaced that MLflow refuses."""
    parts = re.sub(r"[^\w./ -]", "_", name).split("/")
    kept = ("_" if part in (".", "..") else part for part in parts if part)
    return "/".join(kept)[:_NAME_LENGTH].rstrip("/") or "_"


def milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _numbers(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield (allowed path, number) of every finite number in nested dictionaries."""
    for name, value in tree.items():
        path = f"{prefix}/{name}" if prefix else name
        if isinstance(value, Mapping):
            yield from _numbers(value, path)
        elif isinstance(value, int | float) and math.isfinite(value):
            yield allowed(path), float(value)
