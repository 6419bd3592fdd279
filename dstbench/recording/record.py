"""Creates, writes, reads and validates the record of a run, one JSON file per run.

types.py documents the fields. Standard library only, so that comparing records needs no torch.
"""

import json
import math
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

from dstbench.errors import UserError
from dstbench.recording.json_types import type_problem
from dstbench.recording.types import (
    Accuracy,
    Config,
    Cost,
    FinalHealth,
    OverStatus,
    Provenance,
    Record,
    Sparsity,
)
from dstbench.utils.files import write_atomic
from dstbench.utils.json_text import parse_json
from dstbench.utils.printable import printable, utf8

SCHEMA = 1
OVER: tuple[OverStatus, ...] = get_args(OverStatus)  # the run will not change any more
STATUSES = ("running", "interrupted", *OVER, "failed")

_PLAIN = (
    "schema",
    "method",
    "dataset",
    "model",
    "recipe",
    "protocol",
    "precision",
    "seed",
    "status",
    "error",
)
_NAMES = ("method", "dataset", "model", "recipe", "protocol", "precision")
_LONGEST_NAME = 200  # characters
# fmt: off
_SECTIONS: dict[str, tuple[str, ...]] = {
    "sparsity": ("asked", "measured", "effective"),
    "accuracy": (),
    "cost": (),
    "health": (),
    "config": ("text", "sha256"),
    "provenance": (
        "versions", "device", "commit", "dirty", "command", "started", "ended", "attempt",
        "dataset_sha256",
    ),
}
# fmt: on
_FINISHED_ACCURACY = (
    "test_final",
    "test_at_best_val",
    "best_val",
    "best_epoch",
    "val_final",
    "shown",
    "selected_on_test",
)


class Unreadable(UserError):
    """A file that holds no JSON object."""


def new(
    *,
    method: str,
    dataset: str,
    model: str,
    recipe: str,
    protocol: str,
    precision: str,
    seed: int,
    sparsity: Sparsity,
    config: Config,
    provenance: Provenance,
) -> Record:
    """Return the record of a run that starts: status "running", empty accuracy, cost and health."""
    return {
        "schema": SCHEMA,
        "method": method,
        "dataset": dataset,
        "model": model,
        "recipe": recipe,
        "protocol": protocol,
        "precision": precision,
        "seed": seed,
        "status": "running",
        "error": None,
        "sparsity": sparsity,
        "accuracy": cast(Accuracy, {}),
        "cost": cast(Cost, {}),
        "health": cast(FinalHealth, {}),
        "config": config,
        "provenance": provenance,
    }


def write(path: Path, record: Record) -> None:
    """Write a record atomically; NaN and infinity become null, other floats are kept exactly.

    Raises UserError when: the file cannot be written.
    Raises TypeError when: a value has no JSON type.
    """
    text = json.dumps(plain(record), indent=1, allow_nan=False, ensure_ascii=False)
    write_atomic(path, utf8(f"{text}\n"))


def read(path: Path) -> Record:
    """Return the record in `path`.

    Raises UserError when: the file is missing or not a record, lacks a field, or was written by a
        newer version of dstbench.
    Raises Unreadable when: it cannot be read, or holds no JSON object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such record.") from None
    except OSError as error:
        raise Unreadable(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise Unreadable(f"{path}: is not a record: it is not UTF-8 text.") from None
    try:
        record = parse_json(text)
    except ValueError as error:
        raise Unreadable(f"{path}: is not a record: it is not JSON ({error}).") from None
    if not isinstance(record, dict):
        what = type(record).__name__
        raise Unreadable(f"{path}: is not a record: it contains a {what}, not an object.")
    problem = _problem(record)
    if problem:
        raise UserError(f"{path}: {problem}")
    return cast(Record, record)


def _problem(record: dict[str, Any]) -> str | None:
    """Return why parsed JSON is not a record, or None if it is one."""
    schema = record.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        return (
            f"has schema {schema}; this version of dstbench reads up to {SCHEMA}. "
            "Install a newer dstbench."
        )
    missing = [key for key in (*_PLAIN, *_SECTIONS) if key not in record]
    for section, keys in _SECTIONS.items():
        if section in record and not isinstance(record[section], dict):
            return f"is not a record: {section!r} is not an object."
        missing += [f"{section}.{key}" for key in keys if key not in record.get(section, keys)]
    if record.get("status") == "finished":
        given = record.get("accuracy", _FINISHED_ACCURACY)
        missing += [f"accuracy.{key}" for key in _FINISHED_ACCURACY if key not in given]
    if missing:
        return f"is not a complete record: it lacks {', '.join(missing)}."
    if schema != SCHEMA or isinstance(schema, bool):
        return f"is not a record: its schema is {reprlib.repr(schema)}, not {SCHEMA}."
    if record["status"] not in STATUSES:
        return f"has the status {reprlib.repr(record['status'])}; known: {', '.join(STATUSES)}."
    if problem := type_problem(record, Record, ""):
        return f"is not a record: {problem}."
    for name in _NAMES:
        if len(record[name]) > _LONGEST_NAME:
            return f"is not a record: {name} has {len(record[name]):,} characters."
    return None


def plain(value: Any) -> Any:
    """Return a value with JSON types only, that every file and store takes.

    NaN and infinity become None, NumPy scalars Python's, and text printable.
    """
    if isinstance(value, Mapping):
        return {plain(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return printable(value)
    if not isinstance(value, int | None) and hasattr(value, "item"):
        return plain(value.item())
    return value
