"""Finds gin files: methods, recipes and grids, in a checkout or in an installed wheel.

A name on the command line is looked up as a path, then in the installed package, then in the
checkout that holds the package. A wheel has `methods/` and `gin/` inside the package; a checkout
has them beside it.
"""

from pathlib import Path

from dstbench.config.plugins import package_gin_files
from dstbench.errors import UserError, did_you_mean

PACKAGE = Path(__file__).resolve().parents[1]


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


def find_gin(name: str) -> Path:
    """Return the gin file called `name`: a path, or the name of a method.

    Raises UserError, with the nearest name.
    """
    for candidate in (Path(name), *(root / name for root in roots())):
        if candidate.is_file():
            return candidate
    if name in methods():
        return methods()[name]
    known = list(methods())
    if "/" in name:
        known = [f"methods/{path.name}" for path in shipped("methods").values()]
    kind = "is a folder" if name and Path(name).is_dir() else "no such file"
    raise UserError(f"{name or repr(name)}: {kind}.{did_you_mean(name, known)}")


def find_recipe(name: str) -> Path:
    """Return the recipe called `name`, or the gin file of that path.

    Raises UserError, with the nearest name.
    """
    recipes = shipped("gin/recipes")
    if name in recipes:
        return recipes[name]
    for candidate in (Path(name), *(root / name for root in roots())):
        if candidate.is_file():
            return candidate
    raise UserError(f"no recipe {name!r}.{did_you_mean(name, recipes)}")


def find_include(name: str, including: Path) -> Path | None:
    """Return the file that an `include` statement names, None if there is none.

    It is looked up beside the including file, then among the shipped ones, under the names that
    the command line takes (`methods/rigl.gin`).
    """
    for root in (including.parent, *(root / "gin" for root in roots()), *roots()):
        if (root / name).is_file():
            return root / name
    return None
