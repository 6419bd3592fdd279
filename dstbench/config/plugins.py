"""Methods from elsewhere: a Python file named on the command line, or an installed package.

Either registers its classes with `dstbench.config.registry.register` when it is imported; a package
names the module in its entry points, group `dstbench.methods`.
"""

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from dstbench.errors import UserError

GROUP = "dstbench.methods"


def installed() -> list[EntryPoint]:
    """The entry points of installed packages that bring methods."""
    return list(entry_points(group=GROUP))


def load(files: Iterable[Path] = ()) -> None:
    """Import what installed packages bring, then these files, each once.

    Raises UserError, naming the package or the line, for one that fails.
    """
    load_installed()
    for path in files:
        load_file(path)


def load_installed() -> None:
    """Import what installed packages bring. Raises UserError, naming the package that fails."""
    for point in installed():
        try:
            point.load()
        except UserError:
            raise
        except Exception as error:
            package = point.dist.name if point.dist else point.value
            raise UserError(
                f"the installed package {package} brings methods ({GROUP}: {point.value}), but "
                f"importing them failed: {type(error).__name__}: {error}. Mend or uninstall it."
            ) from error


def load_file(path: Path) -> None:
    """Import a Python file, once. Raises UserError with the line when it fails."""
    if not path.is_file():
        kind = "is a folder; name a file in it" if path.is_dir() else "no such file"
        raise UserError(f"--plugin {path}: {kind}.")
    # Two files of one name are two plugins.
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    name = f"dstbench_plugin_{path.stem}_{place}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"--plugin {path}: not a Python file (its name must end in .py).")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        if isinstance(error, UserError):
            raise UserError(f"{path}: {error.message}") from None
        line = error.lineno if isinstance(error, SyntaxError) else _line_in(path, error)
        raise UserError(f"{path}:{line}: {type(error).__name__}: {error}") from None


def _line_in(path: Path, error: BaseException) -> int:
    """The last line of the file that was running when the error came."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno or 0 for f in reversed(frames) if f.filename == str(path)), 0)
