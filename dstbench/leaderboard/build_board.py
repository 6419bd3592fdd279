"""Results, grids and the paper's numbers → the board."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dstbench.config.grid import Section
from dstbench.config.grid import Table as Grid
from dstbench.config.jobs import Job
from dstbench.leaderboard import cost_rows, paper, results, timings
from dstbench.leaderboard.board import Block, Board, Cell, Column, Key, Result, Table
from dstbench.leaderboard.paper import Paper
from dstbench.leaderboard.significance import decided

Filled = Mapping[Key, tuple[Result, ...]]


def build(folder: Path, grids: Sequence[Grid], selected_on_test: bool = False) -> Board:
    """The board of the leaderboard in `folder`.

    selected_on_test: whether runs whose best epoch was chosen on test images are shown. Raises
    UserError for a file that is none of the leaderboard's, records excepted: those are refused.
    """
    found, refused = results.read(folder / "records")
    hidden = [] if selected_on_test else [r for r in found if r.selected_on_test]
    filled, contradictions = results.cells(
        r for r in found if selected_on_test or not r.selected_on_test
    )
    printed = paper.read(folder)
    timed = timings.read(folder / "measurements")
    counted = cost_rows.read(folder / "costs")
    tables: list[Table] = []
    used: set[Key] = set()
    for grid in grids:
        blocks = [] if grid.kind == "cost" else _blocks(grid, filled, printed)
        used |= {key for block in blocks for key in block.cells}
        tables.append(
            Table(
                name=grid.path.stem,
                title=grid.title,
                kind=grid.kind,
                blocks=decided(blocks),
                costs=cost_rows.rows(grid.jobs, counted, printed) if grid.kind == "cost" else (),
                **_speeds(grid, timed, printed),
                notes=printed.notes(grid.path.stem),
            )
        )
    in_tables = {line for table in tables for line in table.measurements}
    every = [line for lines in timed.values() for line in lines]
    return Board(
        folder=folder,
        tables=tuple(tables),
        others=_others({key: own for key, own in filled.items() if key not in used}, printed),
        results=tuple(r for key in sorted(filled) for r in filled[key]),
        refused=tuple(sorted([*refused, *contradictions], key=lambda r: r.names)),
        hidden=tuple(sorted(hidden, key=lambda r: r.name)),
        measurements=tuple(line for line in every if line not in in_tables),
    )


def _speeds(grid: Grid, timed: timings.Timed, printed: Paper) -> dict[str, Any]:
    """What is to be shown about how fast a table's networks answer."""
    if grid.kind != "inference":
        return {}
    return {
        "measurements": timings.of(grid.jobs, timed),
        "paper_speeds": printed.speeds({job.method for job in grid.jobs}),
    }


def _blocks(grid: Grid, filled: Filled, printed: Paper) -> list[Block]:
    """A block for every model, section and precision, in this order, as the paper's tables have."""
    models = dict.fromkeys(job.model for job in grid.jobs)
    return [
        block
        for model in models
        for section in grid.sections
        for block in _of_section(section, model, len(models) > 1, filled, printed)
    ]


def _of_section(
    section: Section, model: str, named: bool, filled: Filled, printed: Paper
) -> Iterable[Block]:
    """The blocks of one section and model, one for every precision that there are results in."""
    jobs = [job for job in section.jobs if job.model == model]
    methods = tuple(dict.fromkeys(job.method for job in jobs))
    plain = dict.fromkeys(_column(job, "") for job in jobs)
    precisions = {
        key.column.precision
        for key in filled
        if key.method in methods and key.column._replace(precision="") in plain
    }
    title = ": ".join(filter(None, (model if named else "", section.title)))
    for precision in sorted(precisions) or [""] if jobs else ():
        columns = tuple(column._replace(precision=precision) for column in plain)
        yield _block(title, methods, columns, filled, printed)


def _column(job: Job, precision: str) -> Column:
    sparsity = 0.0 if job.sparsity is None else float(job.sparsity)
    return Column(job.dataset, job.model, job.recipe, job.protocol, precision, sparsity)


def _block(
    title: str, methods: Sequence[str], columns: Sequence[Column], filled: Filled, printed: Paper
) -> Block:
    cells = {}
    for key in (Key(method, column) for method in methods for column in columns):
        own = filled.get(key, ())
        value = printed.value(key, frozenset(r.configuration for r in own))
        cells[key] = Cell(key, own, value)
    return Block(title, tuple(methods), tuple(columns), cells)


def _others(filled: Filled, printed: Paper) -> tuple[Block, ...]:
    """What no table shows: a block for each dataset, model, recipe, protocol and precision."""
    settings: dict[Column, list[Key]] = {}
    for key in sorted(filled):
        settings.setdefault(key.column._replace(sparsity=0.0), []).append(key)
    found: list[Block] = []
    for setting, keys in sorted(settings.items()):
        title = " · ".join([setting.dataset, setting.model, setting.recipe])
        methods = tuple(sorted({key.method for key in keys}))
        columns = tuple(sorted({key.column for key in keys}))
        found += decided([_block(title, methods, columns, filled, printed)])
    return tuple(found)
