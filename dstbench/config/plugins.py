"""Loads plugins: Python files named by --plugin, and installed packages that provide methods.

Both register their classes with `dstbench.config.registry.register` on import. A package names its
module in its entry points, group `dstbench.methods`.
"""

import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from dstbench.config import plugin_sources, registry
from dstbench.errors import UserError

GROUP = "dstbench.methods"

# plugin's module → hashes of its files when it was loaded
_loaded: dict[str, dict[str, bytes]] = {}


def installed() -> tuple[EntryPoint, ...]:
    """Return the entry points of installed packages that provide methods.

    They are read once for each import path: that takes milliseconds, which each run of a sweep
    would pay.
    """
    return _installed(tuple(sys.path))


@cache
def _installed(path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=GROUP))


def package_gin_files() -> list[Path]:
    """Return the gin files of packages that provide methods, found without importing them.

    They are in the package's folder, or anywhere among the distribution's files.
    """
    found: dict[Path, None] = {}
    for point in installed():
        spec = importlib.util.find_spec(point.module.partition(".")[0])
        for folder in (spec and spec.submodule_search_locations) or ():
            found |= dict.fromkeys(sorted(Path(folder).rglob("*.gin")))
        for file in (point.dist and point.dist.files) or ():
            if file.suffix == ".gin" and (path := Path(str(file.locate()))).is_file():
                found[path] = None
    return list(found)


def load(files: Iterable[Path] = ()) -> None:
    """Import the plugins of installed packages, then these files, each once.

    Raises UserError, with the package or the line, for a plugin that fails.
    """
    load_installed()
    for path in files:
        load_file(path)


def load_installed() -> None:
    """Import the plugins of installed packages. Raises UserError, with the package that fails."""
    for point in installed():
        try:
            point.load()
        except UserError:
            raise
        except Exception as error:
            package = point.dist.name if point.dist else point.value
            raise UserError(
                f"the installed package {package} provides methods ({GROUP}: {point.value}), "
                f"but their import failed: {type(error).__name__}: {error}. Fix or uninstall it."
            ) from error


def load_file(path: Path) -> None:
    """Import a Python file, once. It may import modules that are in its own folder.

    Raises UserError, with the line, when it fails, and when it has changed since it was imported:
    the record of a run would have the hash of code that did not run.
    """
    if not path.is_file():
        kind = "is a folder; name a file in it" if path.is_dir() else "no such file"
        raise UserError(f"--plugin {path}: {kind}.")
    # Files of the same name in two folders are two plugins.
    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:8]
    name = f"dstbench_plugin_{path.stem}_{digest}"
    if name in sys.modules:
        if _hashes(path) != _loaded[name]:
            raise UserError(
                f"--plugin {path}: it, or a module that it imports, has changed since it was "
                "loaded. Start a new process; in a notebook, restart the kernel."
            )
        return
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"--plugin {path}: not a Python file (its name must end in .py).")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    file = path.resolve()
    _forget_namesakes(file)
    before = set(sys.modules)
    try:
        with _importable(file.parent):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        registry.forget(name)
        if isinstance(error, UserError):
            raise UserError(f"{path}: {error.message}") from None
        line = error.lineno if isinstance(error, SyntaxError) else _line_in(path, error)
        raise UserError(f"{path}:{line}: {type(error).__name__}: {error}") from None
    new = [(name, plugin_sources.user_file(name)) for name in set(sys.modules) - before]
    plugin_sources.loaded[file] = sorted((name, own) for name, own in new if own is not None)
    _loaded[name] = _hashes(path)


def _hashes(plugin: Path) -> dict[str, bytes]:
    """Return label → sha256 of a plugin's file and of the user's modules that it imports."""
    files = plugin_sources.sources([plugin])
    return {label: hashlib.sha256(path.read_bytes()).digest() for label, path in files.items()}


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Make a folder's modules importable: before others now, and after them from then on.

    As a script's folder, it comes first; but only while the plugin is imported, so that its files
    cannot replace what other code imports later.
    """
    entry = str(folder)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)
        if entry not in sys.path:
            sys.path.append(entry)


def _forget_namesakes(plugin: Path) -> None:
    """Remove loaded modules that have the name of one that the plugin imports, and another file."""
    for name, file in plugin_sources.imported_by(plugin):
        other = plugin_sources.user_file(name)
        if other is not None and other != file:
            del sys.modules[name]


def _line_in(path: Path, error: BaseException) -> int:
    """Return the line of the file that raised the error, 0 if unknown."""
    frames = traceback.extract_tb(error.__traceback__)
    own = (f.lineno or 0 for f in reversed(frames) if Path(f.filename).resolve() == path.resolve())
    return next(own, 0)
