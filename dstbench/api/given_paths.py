"""Paths as they are given from Python: one, none, or several."""

from collections.abc import Sequence
from pathlib import Path

from dstbench.errors import UserError


def path_of(name: str, given: object) -> Path:
    """Return the path that an argument gives.

    name: of the argument, for the message.

    Raises UserError for anything but a text or a path.
    """
    if not isinstance(given, str | Path):
        raise UserError(f"{name} = {given!r}: expected the path of a file or folder.")
    return Path(given)


def optional_path(name: str, given: object) -> Path | None:
    """Return the path that an argument gives, or None for None; see `path_of`."""
    return None if given is None else path_of(name, given)


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
