"""Converts records, configurations and curves to MLflow's tags, params and metrics.

Pure functions; MLflow is not imported.
"""

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from dstbench.recording.types import EpochLine, Record

HASH, ATTEMPT = "dstbench.config_sha256", "dstbench.attempt"
EPOCH: Final = "epoch"  # this metric is sent last: where it exists, its epoch is complete

_TAGS = ("method", "dataset", "model", "recipe", "protocol", "precision", "seed", "status")
# Figures of an epoch that MLflow shows as charts, in its groups; curves.jsonl has all others.
_SHOWN = {
    "train_loss": "train/loss",
    "train_accuracy": "train/accuracy",
    "learning_rate": "train/learning_rate",
    "val_loss": "val/loss",
    "val_accuracy": "val/accuracy",
    "val_top5": "val/top5",
}
_HEALTH = (
    "sparsity", "effective_sparsity", "live_path_share", "live_channels", "exploration",
    "grad_norm", "grad_norm_live", "batch_grad_norm_live",
)  # fmt: skip
# Results of a run that are in tables: section → names; record.json has all others.
_IN_TABLES = {
    "accuracy": ("test_final", "test_at_best_val", "best_val", "best_epoch", "test_final_top5"),
    "cost": ("macs", "dense_macs", "live_weights", "prunable_weights", "training_flops"),
    "health": ("live_path_share", "live_channels", "collapsed"),
    "sparsity": ("asked", "measured", "effective"),
}
LAYERS = "DSTBENCH_MLFLOW_LAYERS"  # environment variable: set, it sends the figures of layers, too
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
    """Return the metrics of a line of the curves, `epoch` last.

    Loss and accuracy are in the groups train/ and val/, the state of the network in health/. Those
    of single layers, layers/name/layer, are sent where the environment asks for them.
    """
    when, step = milliseconds(line["time"]), int(line[EPOCH])
    values: Mapping[str, Any] = line
    shown: dict[str, Any] = {name: values.get(key) for key, name in _SHOWN.items()}
    shown |= {f"health/{name}": values.get(name) for name in _HEALTH}
    if os.environ.get(LAYERS):
        shown |= {f"layers/{k}": v for k, v in values.items() if isinstance(v, Mapping)}
    rows = [Row(name, value, when, step) for name, value in _numbers(shown)]
    return [*rows, Row(EPOCH, float(step), when, step)]


def result_rows(record: Record) -> list[Row]:
    """Return the numbers of a finished record that tables show, as result/name."""
    when = milliseconds(record["provenance"]["ended"] or record["provenance"]["started"])
    sections: Mapping[str, Any] = record
    chosen = {
        f"result/{section}_{name}": sections[section].get(name)
        for section, names in _IN_TABLES.items()
        for name in names
    }
    return [Row(name, value, when, 0) for name, value in _numbers(chosen)]


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
