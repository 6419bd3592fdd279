"""The blocks of a grid's table: a cell for each method and column, with the results it has."""

from collections.abc import Iterable, Mapping, Sequence

from dstbench.boards.board import Block
from dstbench.boards.cells import Cell, Column, Key, Result
from dstbench.boards.paper_numbers import PaperNumbers
from dstbench.config.grid import Section
from dstbench.config.grid import Table as Grid
from dstbench.config.jobs import Job

ResultsByCell = Mapping[Key, tuple[Result, ...]]


def grid_blocks(grid: Grid, results: ResultsByCell, paper: PaperNumbers) -> list[Block]:
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
        yield block_of(title, methods, columns, results, paper)


def _column(job: Job, precision: str) -> Column:
    sparsity = 0.0 if job.sparsity is None else float(job.sparsity)
    return Column(job.dataset, job.model, job.recipe, job.protocol, precision, sparsity)


def block_of(
    title: str,
    methods: Sequence[str],
    columns: Sequence[Column],
    results: ResultsByCell,
    paper: PaperNumbers,
) -> Block:
    """Return a block with a cell for every method in every column."""
    cells = {}
    for key in (Key(method, column) for method in methods for column in columns):
        own = results.get(key, ())
        value = paper.value(key, frozenset(r.configuration for r in own))
        cells[key] = Cell(key, own, value)
    return Block(title, tuple(methods), tuple(columns), cells)
