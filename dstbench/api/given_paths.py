"""Plugins as they are given: a path, several, or none."""

from collections.abc import Sequence
from pathlib import Path

from dstbench.errors import UserError


def paths(given: str | Path | Sequence[str | Path] | None) -> tuple[Path, ...]:
    """Return files that are given as one path, as several, or as none.

    Raises UserError for anything else.
    """
    if given is None or isinstance(given, str | Path):
        return () if given is None else (Path(given),)
    if not isinstance(given, Sequence):
        raise UserError(f"plugins = {given!r}: expected a path, or a list of paths.")
    if not all(isinstance(path, str | Path) for path in given):
        raise UserError(f"plugins = {given!r}: expected a path, or a list of paths.")
    return tuple(Path(path) for path in given)
