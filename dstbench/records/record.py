"""One run = one JSON record: what was asked, what was measured, and where it comes from.

Standard library only, so that tools which compare records need no torch. Accuracies are in percent,
sparsities are shares in [0, 1], times are unix seconds, durations seconds. A record of a run that
is not finished has empty `accuracy`, `cost` and `health`.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dstbench.errors import UserError
from dstbench.records.provenance import provenance
from dstbench.utils.files import write_atomic

__all__ = ["SCHEMA", "STATUSES", "new", "plain", "provenance", "read", "write"]

SCHEMA = 1
STATUSES = ("running", "interrupted", "finished", "diverged", "failed")

_PLAIN = ("schema", "method", "dataset", "model", "recipe", "protocol", "precision", "seed",
          "status", "error")  # fmt: skip
_SECTIONS: dict[str, tuple[str, ...]] = {
    "sparsity": ("asked", "measured", "effective"),
    "accuracy": (),
    "cost": (),
    "health": (),
    "config": ("text", "sha256"),
    "provenance": ("versions", "device", "commit", "dirty", "command", "started", "attempt"),
}
_FINISHED_ACCURACY = ("test_final", "test_at_best_val", "best_val", "best_epoch", "val_final",
                      "shown", "selected_on_test")  # fmt: skip


def new(
    *,
    method: str,
    dataset: str,
    model: str,
    recipe: str,
    protocol: str,
    precision: str,
    seed: int,
    sparsity: Mapping[str, float | None],
    config: Mapping[str, str],
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """The record of a run that begins; its end replaces status, accuracy, cost and health.

    sparsity: asked, measured, effective. config: text (gin) and its sha256. provenance: see
    provenance.py.
    """
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
        "sparsity": dict(sparsity),
        "accuracy": {},
        "cost": {},
        "health": {},
        "config": dict(config),
        "provenance": dict(provenance),
    }


def write(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record whole: NaN and infinity become null, every other float is kept exactly.

    Raises UserError when the file cannot be written, TypeError for what JSON does not have.
    """
    text = json.dumps(plain(record), indent=1, allow_nan=False, ensure_ascii=False)
    write_atomic(path, f"{text}\n".encode())


def read(path: Path) -> dict[str, Any]:
    """The record in `path`.

    Raises UserError when there is none, it is not JSON or not a record, was written by a newer
    version, or lacks something; the message names what.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such record.") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not a record: it is not text.") from None
    try:
        record = json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise UserError(f"{path}: is not a record: it is not JSON ({error}).") from None
    complaint = _complaint(record)
    if complaint:
        raise UserError(f"{path}: {complaint}")
    return record


def _complaint(record: Any) -> str | None:
    """What is wrong with a record, or None."""
    if not isinstance(record, dict):
        return f"is not a record: it holds a {type(record).__name__}, not an object."
    schema = record.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        return (
            f"has schema {schema}; this version of dstbench reads up to {SCHEMA}. "
            "Install a newer dstbench."
        )
    missing = [key for key in (*_PLAIN, *_SECTIONS) if key not in record]
    for section, keys in _SECTIONS.items():
        if section in record and not isinstance(record[section], dict):
            return f"is not a record: {section!r} is no object."
        missing += [f"{section}.{key}" for key in keys if key not in record.get(section, keys)]
    if record.get("status") == "finished":
        given = record.get("accuracy", _FINISHED_ACCURACY)
        missing += [f"accuracy.{key}" for key in _FINISHED_ACCURACY if key not in given]
    if missing:
        return f"is not a whole record: it lacks {', '.join(missing)}."
    if schema != SCHEMA or isinstance(schema, bool):
        return f"is not a record: its schema is {schema!r}, not {SCHEMA}."
    if record["status"] not in STATUSES:
        return f"has the status {record['status']!r}; known: {', '.join(STATUSES)}."
    return None


def plain(value: Any) -> Any:
    """The value as JSON has it: no NaN or infinity, no NumPy or torch scalars."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if not isinstance(value, int | str | None) and hasattr(value, "item"):
        return plain(value.item())
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
