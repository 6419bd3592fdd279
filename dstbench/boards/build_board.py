"""Builds the board from records, counted costs, measurements and the paper's numbers.

A grid's table shows the grid's runs, by configuration hash; all other runs are shown beyond the
tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dstbench.boards import grid_runs
from dstbench.boards.board import Block, Board, RejectedRecords, Table
from dstbench.boards.cells import Column, Key, Result
from dstbench.boards.cost_files import CostFile, NetworkName, cost_rows, read_costs
from dstbench.boards.grid_blocks import ResultsByCell, block_of, grid_blocks
from dstbench.boards.measurement_files import Measured, measurements_of, read_measurements
from dstbench.boards.paper_numbers import PaperNumbers, read_paper
from dstbench.boards.read_results import group_by_cell, read_results
from dstbench.boards.significance import with_comparisons
from dstbench.boards.trials import trial_rows
from dstbench.boards.variants import with_variants
from dstbench.config.grid import Table as Grid
from dstbench.utils.json_text import parse_json


@dataclass(frozen=True)
class _Sources:
    """What tables are made of.

    shown: the results, without those that are hidden.
    """

    shown: list[Result]
    paper: PaperNumbers
    costs: Mapping[NetworkName, CostFile]
    measured: Measured


@dataclass(frozen=True)
class _GridTable:
    """The table of a grid.

    runs: configuration hashes of the grid's runs.
    searched: the results that are trials of a search.
    contradictions: results of one cell that contradict each other.
    """

    table: Table
    runs: frozenset[str]
    searched: tuple[Result, ...]
    contradictions: list[RejectedRecords]


def build_board(folder: Path, grids: Sequence[Grid], selected_on_test: bool = False) -> Board:
    """Return the board of the leaderboard in `folder`.

    grids: one for each table.
    selected_on_test: whether runs whose best epoch was chosen on test images are shown.

    Raises UserError for a cost, measurement or paper file that cannot be read; a record that cannot
    is rejected.
    """
    found, rejected = read_results(folder / "records")
    hidden = [] if selected_on_test else [r for r in found if r.selected_on_test]
    sources = _Sources(
        shown=[r for r in found if selected_on_test or not r.selected_on_test],
        paper=read_paper(folder),
        costs=read_costs(folder / "costs"),
        measured=read_measurements(folder / "measurements"),
    )
    made = [_grid_table(folder, grid, sources) for grid in grids]
    tables = [one.table for one in made]
    rejected = [*rejected, *(problem for one in made for problem in one.contradictions)]
    in_grids = {
        key: cell.results
        for table in tables
        for block in table.blocks
        for key, cell in block.cells.items()
        if cell.results
    }
    searched = {r.name: r for one in made for r in one.searched}
    in_cells = {r.name for own in in_grids.values() for r in own}
    placed = in_cells | set(searched) | {name for one in rejected for name in one.names}
    rest = [r for r in sources.shown if r.name not in placed]
    others, contradictions = group_by_cell(with_variants(rest, in_grids))
    rejected = sorted({*rejected, *contradictions}, key=lambda r: (r.names, r.reason))
    cells = in_grids | others
    in_tables = {row for table in tables for row in table.measurements}
    speeds = [row for rows in sources.measured.values() for row in rows]
    listed = {sha256[:8] for one in made for sha256 in one.runs}
    return Board(
        folder=folder,
        tables=tuple(sorted(tables, key=lambda t: (not t.has_results, not t.is_beside_paper))),
        others=_others(others, sources.paper),
        results=tuple(r for key in sorted(cells) for r in cells[key]),
        rejected=tuple(rejected),
        refused=tuple(
            one
            for one in rejected
            if listed & {c[:8] for c in _configurations(folder / "records", one)}
        ),
        hidden=tuple(sorted(hidden, key=lambda r: r.name)),
        measurements=tuple(row for row in speeds if row not in in_tables),
        trials=tuple(searched[name] for name in sorted(set(searched) - in_cells)),
    )


def _grid_table(folder: Path, grid: Grid, sources: _Sources) -> _GridTable:
    runs = frozenset[str]() if grid.kind == "cost" else grid_runs.read(folder, grid) or frozenset()
    results, contradictions = group_by_cell(r for r in sources.shown if r.sha256 in runs)
    has_cells, inference = grid.kind in ("accuracy", "inference"), grid.kind == "inference"
    search = grid.kind == "search"
    paper = sources.paper
    table = Table(
        name=grid.path.stem,
        title=grid.title,
        kind=grid.kind,
        blocks=with_comparisons(grid_blocks(grid, results, paper)) if has_cells else (),
        trials=trial_rows(grid.jobs, results) if search else (),
        costs=cost_rows(grid.jobs, sources.costs, paper) if grid.kind == "cost" else (),
        measurements=measurements_of(grid.jobs, sources.measured) if inference else (),
        paper_speeds=paper.speeds({job.method for job in grid.jobs}) if inference else (),
        notes=paper.notes(grid.path.stem),
    )
    searched = tuple(r for own in results.values() for r in own) if search else ()
    return _GridTable(table, runs, searched, contradictions)


def _configurations(records: Path, rejected: RejectedRecords) -> set[str]:
    """Return the configuration hashes of rejected records, as far as their files tell them.

    The name of a record's file ends in the first digits of its hash, which serve if it is damaged.
    """
    found: set[str] = set()
    for name in rejected.names:
        try:
            found.add(str(parse_json((records / f"{name}.json").read_bytes())["config"]["sha256"]))
        except (OSError, ValueError, LookupError, TypeError):
            found.add(name.rpartition("-")[2])
    return found


def _others(results: ResultsByCell, paper: PaperNumbers) -> tuple[Block, ...]:
    """Return a block for each dataset, model, recipe, protocol and precision of these results."""
    settings: dict[Column, list[Key]] = {}
    for key in sorted(results):
        settings.setdefault(key.column.setting, []).append(key)
    found: list[Block] = []
    for setting, keys in sorted(settings.items()):
        names = [setting.dataset, setting.model, setting.recipe, setting.variant]
        title = " · ".join(filter(None, names))
        methods = tuple(sorted({key.method for key in keys}))
        columns = tuple(sorted({key.column for key in keys}))
        found += with_comparisons([block_of(title, methods, columns, results, paper)])
    return tuple(found)
