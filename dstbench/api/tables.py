"""`dstbench.records`: run folders, or the records of a leaderboard, as a DataFrame."""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from dstbench.errors import UserError
from dstbench.recording.file_names import RECORD
from dstbench.recording.record import read
from dstbench.recording.types import Record

_NAMES = (
    "method", "model", "dataset", "recipe", "protocol", "precision", "seed", "status", "error",
)  # fmt: skip
_ACCURACY = ("test_final", "test_at_best_val", "val_final", "best_val", "best_epoch")
_COST = ("macs", "dense_macs", "live_weights", "prunable_weights", "training_flops")
_HEALTH = ("collapsed", "live_path_share", "live_channels", "live_zeros", "exploration")
_COLUMNS = (
    "name", *_NAMES, "sparsity", "sparsity_measured", "sparsity_effective", *_ACCURACY, *_COST,
    *_HEALTH, "train_seconds", "device", "commit", "config_sha256", "path",
)  # fmt: skip


def records(folder: str | Path = "runs") -> pd.DataFrame:
    """Return one row a run, in the order of their names.

    folder: of run folders, at any depth, or of records such as leaderboard/records.

    Columns: what defines the run, its status, sparsities in [0, 1], accuracies in percent (of test
    images: test_final, test_at_best_val), cost, health of the finished network, seconds of
    training, and where it comes from. What a run has not, yet or at all, is NaN or None.

    A record that cannot be read is left out, with a warning that names it.

    Raises UserError when the folder does not exist.
    """
    path = Path(folder) if isinstance(folder, str | Path) else None
    if path is None or not path.is_dir():
        raise UserError(f"{folder}: no such folder. Give the folder of runs, or of records.")
    files = {file for file in path.rglob(RECORD)}
    files |= {file for file in path.glob("*.json")}
    return _table(sorted(files))


def table_of(folders: Iterable[Path]) -> pd.DataFrame:
    """Return the rows of these run folders; one without a record is left out."""
    files = (folder / RECORD for folder in folders)
    return _table(file for file in files if file.is_file())


def _table(files: Iterable[Path]) -> pd.DataFrame:
    rows = []
    for file in files:
        try:
            rows.append(_row(file, read(file)))
        except UserError as error:
            warnings.warn(f"left out: {error.message}", stacklevel=3)
    return pd.DataFrame(rows, columns=_COLUMNS)


def _row(file: Path, record: Record) -> dict[str, Any]:
    accuracy, cost, health = record["accuracy"], record["cost"], record["health"]
    sparsity, provenance = record["sparsity"], record["provenance"]
    return {
        "name": file.parent.name if file.name == RECORD else file.stem,
        **{name: record.get(name) for name in _NAMES},
        "sparsity": sparsity["asked"],
        "sparsity_measured": sparsity["measured"],
        "sparsity_effective": sparsity["effective"],
        **{name: accuracy.get(name) for name in _ACCURACY},
        **{name: cost.get(name) for name in _COST},
        **{name: health.get(name) for name in _HEALTH},
        "train_seconds": provenance.get("train_seconds"),
        "device": provenance["device"],
        "commit": provenance["commit"],
        "config_sha256": record["config"]["sha256"],
        "path": str(file.parent if file.name == RECORD else file),
    }
