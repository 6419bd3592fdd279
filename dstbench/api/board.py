"""`dstbench.leaderboard`: collects runs, renders the tables, and returns their cells."""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dstbench.api.given_paths import path_of, paths
from dstbench.boards import grid_runs, write_files
from dstbench.boards.board import Board
from dstbench.boards.build_board import build_board
from dstbench.boards.collect_runs import Collected, collect_runs
from dstbench.config import grid
from dstbench.config.plugins import load
from dstbench.config.shipped_files import GRIDS, shipped
from dstbench.errors import UserError


def leaderboard(
    *grids: str | Path,
    runs: str | Path | Sequence[str | Path] | None = "runs",
    out: str | Path = "leaderboard",
    selected_on_test: bool = False,
    plugins: Sequence[str | Path] = (),
) -> pd.DataFrame:
    """Collect runs, write tables, figures and a page, and return one row a cell.

    grids: names or gin files of the grids, a table each; the suite's own if none is given.
    runs: folders with run folders, or MLflow stores; None to render what was collected before.
    out: the leaderboard's folder.
    selected_on_test: whether runs whose best epoch was chosen on test images are shown.
    plugins: Python files that the grids' methods need.

    Columns: table, block, method, dataset, model, recipe, protocol, precision, sparsity; mean, std
    (of test accuracy, percent) and n (seeds); collapsed and diverged (runs); significant (ahead of
    the second of its column); paper (the EAST paper's number); macs (fraction of the dense ones).
    Cells without a run have n = 0. Trials of a search have no row: `records` has their val_final.
    What is left out, and why, is a warning each.

    Raises UserError for a grid, a source or a file that cannot be used.
    """
    sources = [] if runs is None else [runs] if isinstance(runs, str | Path) else runs
    if not isinstance(sources, Sequence):
        raise UserError(f"runs = {runs!r}: expected a folder, a store's address, or a list.")
    grid_names, folders = [str(one) for one in grids], [str(one) for one in sources]
    done = render(grid_names, folders, path_of("out", out), selected_on_test, paths(plugins))
    complaints = [] if done.collected is None else list(done.collected.complaints)
    complaints += [f"{', '.join(one.names)}: {one.reason}" for one in done.board.rejected]
    complaints += [f"figures not drawn: {done.not_drawn}"] if done.not_drawn else []
    for complaint in complaints:
        warnings.warn(complaint, stacklevel=2)
    return cells(done.board)


@dataclass(frozen=True)
class Rendered:
    """What rendering did.

    board: the tables.
    collected: what was collected from the sources; None without any.
    written: the text files of the leaderboard.
    drawn: its figures.
    not_drawn: why figures are missing; empty if they are not.
    lists: lists of grids' runs that were written anew.
    """

    board: Board
    collected: Collected | None
    written: list[Path]
    drawn: list[Path]
    not_drawn: str
    lists: list[Path]


def render(
    names: list[str],
    sources: list[str],
    out: Path,
    selected_on_test: bool,
    plugins: Sequence[Path] = (),
) -> Rendered:
    """Collect runs from the sources, and render a leaderboard.

    Raises UserError as `leaderboard`.
    """
    if plugins:
        load(plugins)
    tables = read_grids(names)
    # Where no leaderboard is yet, collecting makes its folders, and has the first word on why not.
    unlisted = listable(tables) if sources and not out.is_dir() else stale_grids(tables, out)
    stale = {table: grid_runs_of(table) for table in unlisted}  # a refused grid collects nothing
    collected = collect_runs(sources, out) if sources else None
    lists = [grid_runs.write(out, table, runs) for table, runs in stale.items()]
    board = build_board(out, tables, selected_on_test)
    written = write_files.write_text_files(board)
    try:
        drawn, not_drawn = write_files.draw_figures(board), ""
    except UserError as error:
        drawn, not_drawn = [], error.message
    return Rendered(board, collected, written, drawn, not_drawn, lists)


def read_grids(names: list[str]) -> list[grid.Table]:
    """Return the grids of these files, or the suite's own.

    Raises UserError when two have the same name, or one that of the overview: a table's file is
    named after its grid.
    """
    found = [grid.read(name) for name in names or shipped(GRIDS)]
    overview = Path(write_files.README).stem
    counts = Counter([overview, *(table.path.stem for table in found)])
    twice = [name for name, n in counts.items() if n > 1]
    if twice:
        raise UserError(
            f"the name {', '.join(twice)} is taken: each table has the name of its grid's file, "
            f"and {overview} is the overview's. Rename the grid."
        )
    return found


def listable(tables: list[grid.Table]) -> list[grid.Table]:
    """Return the grids of which a leaderboard has a list of runs."""
    return [one for one in tables if one.kind != "cost"]


def stale_grids(tables: list[grid.Table], out: Path) -> list[grid.Table]:
    """Return the grids whose list of runs, in the leaderboard's folder, is out of date."""
    return [one for one in listable(tables) if grid_runs.read(out, one) is None]


def grid_runs_of(table: grid.Table) -> list[str]:
    """Return the configuration hashes of a grid's runs, whose plugins are loaded.

    Raises UserError for anything wrong with a run's configuration.
    """
    from dstbench.api.grid_hashes import grid_hashes  # needs torch, which rendering does not

    try:
        return grid_hashes(table)
    except UserError as error:
        raise UserError(f"{table.path}: {error.message}") from None


def cells(board: Board) -> pd.DataFrame:
    """Return one row for each cell of the accuracy tables, see `leaderboard`."""
    rows = []
    for table in board.tables:
        for block in table.blocks:
            for cell in block.cells.values():
                rows.append(
                    {
                        "table": table.name,
                        "block": block.title,
                        "method": cell.key.method,
                        **cell.key.column._asdict(),
                        "mean": cell.mean,
                        "std": cell.std,
                        "n": cell.n,
                        "collapsed": cell.collapsed,
                        "diverged": cell.diverged,
                        "significant": block.significant(cell) is not None,
                        "paper": None if cell.paper is None else cell.paper.mean,
                        "macs": cell.macs,
                    }
                )
    return pd.DataFrame(rows)
