"""Installed packages that provide what a run uses: their version and a hash of their files."""

import hashlib
import importlib.util
import os
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

from dstbench.config.plugin_sources import imports_of
from dstbench.config.plugins import installed
from dstbench.recording.types import PluginPackage

_HASHED = (".py", ".gin")


def used_packages(text: str) -> dict[str, PluginPackage]:
    """Return distribution → version and hash of every plugin package that a run imports.

    text: the run's resolved gin text; it imports the module of every class that it names.
    """
    imported = {name.partition(".")[0] for name in imports_of(text)}
    used: dict[str, PluginPackage] = {}
    for point in installed():
        top = point.module.partition(".")[0]
        if top in imported:
            name, version = _distribution(point)
            used[name] = {"version": version, "sha256": _sha256(top)}
    return used


def _distribution(point: EntryPoint) -> tuple[str, str | None]:
    return (point.dist.name, point.dist.version) if point.dist else (point.module, None)


def _sha256(module: str) -> str:
    """Return the hash of a top-level module's Python and gin files, by relative path."""
    digest = hashlib.sha256()
    for root, path in _files(module):
        digest.update(os.fsencode(path.relative_to(root)) + b"\n")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _files(module: str) -> Iterator[tuple[Path, Path]]:
    """Yield (folder, file in it) of a package, or of a module that is one file."""
    spec = importlib.util.find_spec(module)
    if spec is None:
        return
    for folder in map(Path, spec.submodule_search_locations or ()):
        for path in sorted(folder.rglob("*")):
            if path.suffix in _HASHED and path.is_file():
                yield folder, path
    if spec.submodule_search_locations is None and spec.origin is not None:
        yield Path(spec.origin).parent, Path(spec.origin)
