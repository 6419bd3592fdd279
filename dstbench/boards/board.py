"""The leaderboard as data: cells in blocks, blocks in tables, tables on a board.

Complete and immutable. Markdown, page and figures read it and decide nothing: what is best, which
cells cannot be told apart and what a column resolves is filled in by significance.py. Every
sequence is in display order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dstbench.boards.cells import Cell, Column, Key, Result
from dstbench.boards.reduce_curves import ReducedCurves, read_reduced
from dstbench.boards.row_types import CostRow, SpeedRow, TrialRow


@dataclass(frozen=True)
class Comparison:
    """The best cell of a column against the second: Welch's t-test, two-sided.

    first: the method with the best mean.
    second: the method with the second mean.
    p: of the test; None where no test is possible (one seed, or no variance).
    adjusted: p by Holm's method over all pairs of the column.
    significant: the only claim that may be shown.
    """

    first: str
    second: str
    p: float | None
    adjusted: float | None
    significant: bool


@dataclass(frozen=True)
class Block:
    """Rows that are compared with each other: methods × columns.

    title: empty if the table's is enough.
    rows: methods.
    columns: settings and sparsities.
    cells: complete, one for every row and column.
    best: methods in bold: several when they tie, none when fewer than two can be compared.
    comparisons: of the columns with at least two cells that can be compared.
    letters: of the tested cells; two cells of a column share one if they cannot be told apart.
    resolution: smallest difference that the seeds of a column resolve, percentage points.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: Mapping[Key, Cell]
    best: Mapping[Column, frozenset[str]] = field(default_factory=dict)
    comparisons: Mapping[Column, Comparison] = field(default_factory=dict)
    letters: Mapping[Key, str] = field(default_factory=dict)
    resolution: Mapping[Column, float] = field(default_factory=dict)

    def cell(self, method: str, column: Column) -> Cell:
        return self.cells[Key(method, column)]

    @property
    def precisions(self) -> tuple[str, ...]:
        """Precisions of the columns, without repetition; empty where no column has results."""
        return tuple(dict.fromkeys(c.precision for c in self.columns if c.precision))

    def is_best(self, cell: Cell) -> bool:
        """Whether a cell's mean is shown in bold."""
        return cell.key.method in self.best.get(cell.key.column, ())

    def significant(self, cell: Cell) -> Comparison | None:
        """Return the comparison in which a cell is significantly ahead of the second."""
        found = self.comparisons.get(cell.key.column)
        won = found is not None and found.significant and found.first == cell.key.method
        return found if won else None


@dataclass(frozen=True)
class Table:
    """One grid file with its results.

    name: stem of the grid file.
    title: of the grid.
    kind: "accuracy", "search", "cost" or "inference".
    blocks: accuracies.
    trials: of a search, best first.
    costs: counted costs.
    measurements: measured speeds.
    paper_speeds: the paper's speeds.
    notes: on the paper's numbers, such as contradictions.
    """

    name: str
    title: str
    kind: str
    blocks: tuple[Block, ...] = ()
    trials: tuple[TrialRow, ...] = ()
    costs: tuple[CostRow, ...] = ()
    measurements: tuple[SpeedRow, ...] = ()
    paper_speeds: tuple[SpeedRow, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def has_results(self) -> bool:
        """Whether it shows any result of a run, counted cost or measured speed."""
        return bool(self.costs or self.measurements or self.runs)

    @property
    def is_beside_paper(self) -> bool:
        """Whether any accuracy is shown beside the paper's."""
        cells = [cell for block in self.blocks for cell in block.cells.values()]
        return any(cell.results and cell.paper for cell in cells)

    @property
    def runs(self) -> int:
        """Number of runs that it shows."""
        cells = [cell for block in self.blocks for cell in block.cells.values()]
        return sum(len(cell.results) for cell in cells) + sum(len(r.seeds) for r in self.trials)

    @property
    def precisions(self) -> tuple[str, ...]:
        """Precisions of its runs, without repetition."""
        of_blocks = [name for block in self.blocks for name in block.precisions]
        return tuple(dict.fromkeys([*of_blocks, *(r.precision for r in self.trials if r.seeds)]))


@dataclass(frozen=True)
class RejectedRecords:
    """Records that are not shown: names of their files, and why, with what to do about it."""

    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Board:
    """Everything the leaderboard shows.

    folder: of the leaderboard; links are relative to it.
    tables: one for each grid: those with results beside the paper's, other results, none.
    others: blocks of the results that are in no table, one for each setting.
    results: every result that is shown in some cell.
    trials: results that are shown as trials of a search alone.
    rejected: records that contradict themselves or others.
    refused: those of them that are runs of a grid, and are missing in its table.
    hidden: results selected on test images, unless they were asked for.
    measurements: speeds that are in no table.
    """

    folder: Path
    tables: tuple[Table, ...]
    others: tuple[Block, ...]
    results: tuple[Result, ...]
    rejected: tuple[RejectedRecords, ...] = ()
    refused: tuple[RejectedRecords, ...] = ()
    hidden: tuple[Result, ...] = ()
    measurements: tuple[SpeedRow, ...] = ()
    trials: tuple[Result, ...] = ()

    @property
    def runs(self) -> tuple[Result, ...]:
        """Every result that is shown."""
        return self.results + self.trials

    def curves(self, result: Result) -> ReducedCurves | None:
        """Return a run's curves; None when there are none. Raises UserError as `read_reduced`."""
        return read_reduced(self.folder / "curves" / f"{result.name}.json")


def all_blocks(board: Board) -> Sequence[Block]:
    """Return every block of the board, the tables' first."""
    return [*(block for table in board.tables for block in table.blocks), *board.others]
