"""Finds gin files: methods, recipes and grids, in a checkout or in an installed wheel.

A name on the command line is that of a shipped file, or a path: in the working folder, then in the
installed package, then in the checkout that holds the package. A wheel has `methods/` and `gin/`
inside the package; a checkout has them beside it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from dstbench.config.plugins import package_gin_files
from dstbench.errors import UserError, did_you_mean

PACKAGE = Path(__file__).resolve().parents[1]
RECIPES, GRIDS = "gin/recipes", "gin/tables"  # folders of the suite


def checkout() -> Path | None:
    """Return the checkout that holds the package, None if the package is installed."""
    root = PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() and (root / "methods").is_dir() else None


def roots() -> list[Path]:
    """Return the folders that hold `methods/` and `gin/`, nearest first."""
    return [PACKAGE] + ([root] if (root := checkout()) else [])


def shipped(folder: str, ending: str = ".gin") -> dict[str, Path]:
    """Return name (without ending) → path of every shipped file in `folder`, sorted."""
    found: dict[str, Path] = {}
    for root in roots():
        for path in sorted((root / folder).glob(f"*{ending}")):
            if path.name != "__init__.py":
                found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def methods() -> dict[str, Path]:
    """Return name → gin file of every method: of the suite, then of installed packages."""
    return packaged() | shipped("methods")


def packaged() -> dict[str, Path]:
    """Return name → gin file of the packages that provide methods."""
    found: dict[str, Path] = {}
    for path in package_gin_files():
        found.setdefault(path.stem, path)
    return found


def find_gin(name: str, folder: Path | None = None) -> Path:
    """Return the gin file called `name`: the name of a method, or a path.

    folder: where relative paths start, before the working folder and the suite's; None for these.

    Raises UserError, with the nearest name.
    """
    known = methods()
    if (found := _found(name, known, folder)) is not None:
        return found
    valid: Iterable[str] = known
    if "/" in name:
        valid = [f"methods/{path.name}" for path in shipped("methods").values()]
    kind = "is a folder" if name and Path(name).is_dir() else "no such file"
    raise UserError(f"{name or repr(name)}: {kind}.{did_you_mean(name, valid)}")


def find_recipe(name: str, folder: Path | None = None) -> Path:
    """Return the recipe called `name`, or the gin file of that path.

    folder: as of `find_gin`.

    Raises UserError, with the nearest name.
    """
    recipes = shipped(RECIPES)
    if (found := _found(name, recipes, folder)) is not None:
        return found
    raise UserError(f"no recipe {name!r}.{did_you_mean(name, recipes)}")


def find_grid(name: str) -> Path:
    """Return the grid called `name`, or the gin file of that path.

    Raises UserError, with the nearest name.
    """
    grids = shipped(GRIDS)
    if (found := _found(name, grids, None)) is not None:
        return found
    raise UserError(f"{name}: no such grid.{did_you_mean(name, grids)}")


def _found(name: str, known: Mapping[str, Path], folder: Path | None) -> Path | None:
    """Return the file called `name`, None if there is none.

    known: name → file of what is shipped. A file of `folder` goes before it, one of the working
        folder or the suite's folders after it.
    """
    if folder is not None and (folder / name).is_file():
        return folder / name
    if name in known:
        return known[name]
    candidates = (Path(name), *(root / name for root in roots()))
    return next((path for path in candidates if path.is_file()), None)


def find_include(name: str, including: Path) -> Path | None:
    """Return the file that an `include` statement names, None if there is none.

    It is looked up beside the including file, then among the shipped ones, under the names that
    the command line takes (`methods/rigl.gin`).
    """
    for root in (including.parent, *(root / "gin" for root in roots()), *roots()):
        if (root / name).is_file():
            return root / name
    return None
