"""The identity of a run: its canonical gin text and the sha256 of it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Resolved:
    """The canonical gin text of a run (or of a table of runs) and its identity."""

    text: str
    sha256: str


def _literal(value: Any) -> str:
    """The value as gin writes it, the same however it was given: a list or a tuple is a list."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(_literal(v) for v in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {_literal(v)}" for k, v in sorted(value.items())) + "}"
    return repr(value)
