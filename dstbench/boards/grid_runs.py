"""grids/NAME.json: the configuration hashes of a grid's runs, as `dstbench sweep` knows them.

A hash needs the classes of the methods, and so torch, which rendering a leaderboard does not. So
`dstbench leaderboard` writes the hashes once, and again when the grid, or a gin file that it uses,
has changed. A file holds the hashes of both default precisions, since a machine chooses one.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from dstbench.config.gin_file import read_file, skip_import
from dstbench.config.grid import Table as Grid
from dstbench.config.shipped_files import find_gin, find_recipe
from dstbench.errors import UserError
from dstbench.utils.files import content_of, make_folder, write_atomic
from dstbench.utils.json_text import parse_json
from dstbench.utils.printable import utf8

FOLDER = "grids"


def path_of(folder: Path, grid: Grid) -> Path:
    """Return the path of a grid's file. folder: of the leaderboard."""
    return folder / FOLDER / f"{grid.path.stem}.json"


def read(folder: Path, grid: Grid) -> frozenset[str] | None:
    """Return the configuration hashes of a grid's runs; None where the file is missing or stale.

    Raises UserError when it cannot be read, or is no list of runs.
    """
    path = path_of(folder, grid)
    text = content_of(path)
    if text is None:
        return None
    try:
        content = parse_json(text)
        is_current = content["source_sha256"] == fingerprint(grid)
        return frozenset(map(str, content["runs"])) if is_current else None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: is no list of runs ({error!r}). Delete it; it is made again."
        ) from None


def write(folder: Path, grid: Grid, runs: Iterable[str]) -> Path:
    """Write the configuration hashes of a grid's runs; return the path of the file.

    Raises UserError when it cannot be written.
    """
    path = path_of(folder, grid)
    content = {"source_sha256": fingerprint(grid), "runs": sorted(set(runs))}
    make_folder(path.parent)
    write_atomic(path, utf8(f"{json.dumps(content, indent=1)}\n"))
    return path


def fingerprint(grid: Grid) -> str:
    """Return a hash of the grid, and of every binding of the gin files that its runs use."""
    digest = hashlib.sha256(grid.sha256.encode())
    files = dict.fromkeys(
        path
        for job in grid.jobs
        for path in (
            *map(find_gin, job.choices.files),
            find_recipe(job.choices.recipe or job.recipe),
        )
    )
    for path in files:
        for binding in read_file(path, skip_import):
            digest.update(f"{binding} = {binding.value!r}\n".encode())
    return digest.hexdigest()
