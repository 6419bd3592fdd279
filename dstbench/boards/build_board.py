"""Builds the board from records, counted costs, measurements and the paper's numbers.

A grid's table shows the grid's runs, by configuration hash; all other runs are shown beyond the
tables.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dstbench.boards import grid_runs
from dstbench.boards.board import Block, Board, RejectedRecords, Table
from dstbench.boards.cells import Cell, Column, Key, Result
from dstbench.boards.cost_files import cost_rows, read_costs
from dstbench.boards.measurement_files import measurements_of, read_measurements
from dstbench.boards.paper_numbers import PaperNumbers, read_paper
from dstbench.boards.read_results import group_by_cell, read_results
from dstbench.boards.row_types import TrialRow
from dstbench.boards.significance import with_comparisons
from dstbench.boards.trials import trial_rows
from dstbench.boards.variants import with_variants
from dstbench.config.grid import Section
from dstbench.config.grid import Table as Grid
from dstbench.config.jobs import Job
from dstbench.utils.json_text import parse_json

ResultsByCell = Mapping[Key, tuple[Result, ...]]


def build_board(folder: Path, grids: Sequence[Grid], selected_on_test: bool = False) -> Board:
    """Return the board of the leaderboard in `folder`.

    grids: one for each table.
    selected_on_test: whether runs whose best epoch was chosen on test images are shown.

    Raises UserError for a cost, measurement or paper file that cannot be read; a record that cannot
    is rejected.
    """
    found, rejected = read_results(folder / "records")
    hidden = [] if selected_on_test else [r for r in found if r.selected_on_test]
    shown = [r for r in found if selected_on_test or not r.selected_on_test]
    paper = read_paper(folder)
    measured = read_measurements(folder / "measurements")
    costs = read_costs(folder / "costs")
    tables: list[Table] = []
    in_grids: dict[Key, tuple[Result, ...]] = {}
    listed: set[str] = set()
    searched: dict[str, Result] = {}
    for grid in grids:
        runs = frozenset[str]() if grid.kind == "cost" else grid_runs.read(folder, grid) or ()
        listed |= set(runs)
        results, contradictions = group_by_cell(r for r in shown if r.sha256 in runs)
        rejected += contradictions
        blocks = _blocks(grid, results, paper) if grid.kind in ("accuracy", "inference") else []
        trials: tuple[TrialRow, ...] = ()
        if grid.kind == "search":
            trials = trial_rows(grid.jobs, results)
            searched |= {r.name: r for own in results.values() for r in own}
        in_grids |= {
            key: cell.results
            for block in blocks
            for key, cell in block.cells.items()
            if cell.results
        }
        inference = grid.kind == "inference"
        methods = {job.method for job in grid.jobs}
        tables.append(
            Table(
                name=grid.path.stem,
                title=grid.title,
                kind=grid.kind,
                blocks=with_comparisons(blocks),
                trials=trials,
                costs=cost_rows(grid.jobs, costs, paper) if grid.kind == "cost" else (),
                measurements=measurements_of(grid.jobs, measured) if inference else (),
                paper_speeds=paper.speeds(methods) if inference else (),
                notes=paper.notes(grid.path.stem),
            )
        )
    in_tables = {row for table in tables for row in table.measurements}
    speeds = [row for rows in measured.values() for row in rows]
    in_cells = {r.name for own in in_grids.values() for r in own}
    placed = in_cells | set(searched)
    placed |= {name for one in rejected for name in one.names}
    rest = [r for r in shown if r.name not in placed]
    others, contradictions = group_by_cell(with_variants(rest, in_grids))
    rejected = sorted({*rejected, *contradictions}, key=lambda r: (r.names, r.reason))
    cells = in_grids | others
    beginnings = {sha256[:8] for sha256 in listed}
    return Board(
        folder=folder,
        tables=tuple(sorted(tables, key=lambda table: not table.has_results)),
        others=_others(others, paper),
        results=tuple(r for key in sorted(cells) for r in cells[key]),
        rejected=tuple(rejected),
        refused=tuple(
            one
            for one in rejected
            if beginnings & {c[:8] for c in _configurations(folder / "records", one)}
        ),
        hidden=tuple(sorted(hidden, key=lambda r: r.name)),
        measurements=tuple(row for row in speeds if row not in in_tables),
        trials=tuple(searched[name] for name in sorted(set(searched) - in_cells)),
    )


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


def _blocks(grid: Grid, results: ResultsByCell, paper: PaperNumbers) -> list[Block]:
    """Return a block for every model, section and precision, in the order of the paper's tables."""
    models = dict.fromkeys(job.model for job in grid.jobs)
    return [
        block
        for model in models
        for section in grid.sections
        for block in _section_blocks(section, model, len(models) > 1, results, paper)
    ]


def _section_blocks(
    section: Section, model: str, name_model: bool, results: ResultsByCell, paper: PaperNumbers
) -> Iterable[Block]:
    """Yield the blocks of one section and model, one for every precision that has results.

    name_model: whether the title names the model.
    """
    jobs = [job for job in section.jobs if job.model == model]
    methods = tuple(dict.fromkeys(job.method for job in jobs))
    without_precision = dict.fromkeys(_column(job, "") for job in jobs)
    precisions = {
        key.column.precision
        for key in results
        if key.method in methods and key.column._replace(precision="") in without_precision
    }
    title = ": ".join(filter(None, (model if name_model else "", section.title)))
    for precision in sorted(precisions) or [""] if jobs else ():
        columns = tuple(column._replace(precision=precision) for column in without_precision)
        yield _block(title, methods, columns, results, paper)


def _column(job: Job, precision: str) -> Column:
    sparsity = 0.0 if job.sparsity is None else float(job.sparsity)
    return Column(job.dataset, job.model, job.recipe, job.protocol, precision, sparsity)


def _block(
    title: str,
    methods: Sequence[str],
    columns: Sequence[Column],
    results: ResultsByCell,
    paper: PaperNumbers,
) -> Block:
    cells = {}
    for key in (Key(method, column) for method in methods for column in columns):
        own = results.get(key, ())
        value = paper.value(key, frozenset(r.configuration for r in own))
        cells[key] = Cell(key, own, value)
    return Block(title, tuple(methods), tuple(columns), cells)


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
        found += with_comparisons([_block(title, methods, columns, results, paper)])
    return tuple(found)
