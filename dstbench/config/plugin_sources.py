"""The Python files that decide what a plugin does: itself, and the user's modules that it imports.

Imports are read from the source text, those inside functions included, so that the files are known
before anything is imported. Modules of the standard library, of installed packages and of dstbench
are not among them: their versions are recorded.
"""

import ast
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from dstbench.config.registry import INTERACTIVE

# plugin file → (module, file) of the user's modules that its import loaded, whatever imported them
loaded: dict[Path, list[tuple[str, Path]]] = {}


def imports_of(text: str) -> list[str]:
    """Return the modules that a resolved gin text imports, in order."""
    return re.findall(r"^import (\S+)$", text, re.MULTILINE)


def sources(files: Iterable[Path], text: str = "") -> dict[str, Path]:
    """Return label → file of plugins and of every user's module that they import, directly or not.

    files: plugins.
    text: resolved gin text; modules that it imports are plugins too.

    A label is the file's name for a plugin, and the path of a module in its package for others.
    """
    found: dict[str, Path] = {}
    for plugin in (path.resolve() for path in files):
        _add(found, plugin.name, plugin)
        for module, file in [*imported_by(plugin), *loaded.get(plugin, ())]:
            _add(found, _label(module, file), file)
    for name in imports_of(text):
        file = user_file(name)
        if file is not None:
            _add(found, _label(name, file), file)
            for module, own in imported_by(file, name):
                _add(found, _label(module, own), own)
    return found


def imported_by(file: Path, name: str = "") -> list[tuple[str, Path]]:
    """Return (module, file) of every user's module that a file imports, directly or not.

    name: of the file's module; empty for a plugin, whose siblings are top-level modules.
    """
    depth = name.count(".") + (file.name == "__init__.py")
    root = file.parents[depth] if name else file.parent
    roots = [root, *filter(_is_users, (Path(entry).resolve() for entry in sys.path))]
    found: dict[Path, str] = {file: name}
    pending = [file]
    while pending:
        current = pending.pop()
        for module in _imports(current, found[current]):
            for inner, path in _resolve(module, roots):
                if path not in found:
                    found[path] = inner
                    pending.append(path)
    return [(module, path) for path, module in found.items() if path != file]


def user_file(module: str) -> Path | None:
    """Return the file of a loaded module that is the user's; None for any other."""
    top = module.partition(".")[0]
    if top in ("dstbench", INTERACTIVE):  # its methods are outside its package; hashed by class
        return None
    name = getattr(sys.modules.get(module), "__file__", None)
    path = Path(name).resolve() if name else None
    return path if path is not None and path.is_file() and _is_users(path) else None


def _is_users(path: Path) -> bool:
    """Return whether a path is outside the standard library, installed packages and dstbench."""
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    kept = [sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    package = str(Path(__file__).resolve().parents[1])
    return not any(path.is_relative_to(folder) for folder in [*kept, package])


def _imports(file: Path, name: str) -> Iterator[str]:
    """Yield the full names of what a file imports; of `from a import b`, a and a.b.

    name: of the file's module.
    """
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    tree = ast.Module([], [])
    with suppress(SyntaxError, ValueError, OSError):  # of a module whose import would fail
        tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            parts = [*base, *(node.module or "").split(".")]
            stem = ".".join(filter(None, parts))
            yield stem
            yield from (f"{stem}.{alias.name}".lstrip(".") for alias in node.names)


def _resolve(module: str, roots: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Yield (module, file) of the packages above a module and of itself, in the first root with it.

    Nothing for modules of the standard library and of dstbench.
    """
    first, *parts = module.split(".")
    if not first or first in sys.stdlib_module_names or first == "dstbench":
        return
    for root in roots:
        folder, name = root / first, first
        if not folder.is_dir() and not folder.with_suffix(".py").is_file():
            continue
        for part in (*parts, None):
            for path in (folder / "__init__.py", folder.parent / f"{folder.name}.py"):
                if path.is_file():
                    yield name, path
                    break
            if part is not None:
                folder, name = folder / part, f"{name}.{part}"
        return


def _label(module: str, file: Path) -> str:
    path = module.replace(".", "/")
    return f"{path}/__init__.py" if file.name == "__init__.py" else f"{path}{file.suffix}"


def _add(found: dict[str, Path], label: str, file: Path) -> None:
    """Add a file once; of two files of one label, the later one's names its folder."""
    if file not in found.values():
        while label in found:
            label = f"{file.parent.name}/{label}"
        found[label] = file
