"""What a leaderboard is made of: results in cells, cells in blocks, blocks in tables on a board.

Data only, complete and immutable: whoever shows a board (markdown, page, figures) reads it from
here, and computes nothing that decides what is ahead. Accuracies are in percent; sparsities are
shares in [0, 1]. Every sequence is in the order in which it is to be shown.

A cell is one (method, dataset, model, recipe, protocol, precision, sparsity). Nothing is ever
averaged across two of those, nor across two configurations or sets of images under one of them.
"""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from dstbench.leaderboard.rows import CostRow, Measurement, PaperSpeed, PaperValue

DIGITS = 2  # of accuracies, as shown; those that print the same are a tie


class Column(NamedTuple):
    """What all cells that are held against each other have in common."""

    dataset: str
    model: str
    recipe: str
    protocol: str
    precision: str  # "" in a column without any result
    sparsity: float


class Key(NamedTuple):
    """What makes a cell: one method in one column."""

    method: str
    column: Column


@dataclass(frozen=True)
class Result:
    """A record of a run that is over, reduced to what is shown of it.

    name: of the record's file, without ending: `records/<name>.json`, `curves/<name>.json`.
    accuracy: on the test images, the one that the protocol shows; None when the run diverged.
    top5: likewise, when the record has it.
    collapsed: nothing was learnt, see health.py. selected_on_test: the epoch was chosen on them.
    live, prunable: weights. measured, effective: sparsities. macs, dense_macs: of one image.
    configuration: gin text without the line of the seed, and the hashes of plugins. images: sha256
    of the decoded images.
    sha256: of the gin text, seed included. command: what was typed, without folders.
    """

    name: str
    key: Key
    seed: int
    diverged: bool
    accuracy: float | None
    top5: float | None
    collapsed: bool
    selected_on_test: bool
    live: int | None
    prunable: int | None
    measured: float | None
    effective: float | None
    macs: int | None
    dense_macs: int | None
    configuration: str = field(repr=False)
    images: str | None
    sha256: str
    commit: str | None
    device: str | None
    train_seconds: float | None
    command: tuple[str, ...] = ()

    @property
    def link(self) -> str:
        """Path of the record, relative to the leaderboard's folder."""
        return f"records/{self.name}.json"


@dataclass(frozen=True)
class Cell:
    """The results of one cell, by seed; none at all where nothing was run.

    A diverged run has no accuracy: the mean is of the others, and a cell that has one is never
    called best. paper: only where dataset, model, recipe and settings are the paper's.
    """

    key: Key
    results: tuple[Result, ...] = ()
    paper: PaperValue | None = None

    @cached_property
    def values(self) -> tuple[float, ...]:
        """Accuracies, a seed each."""
        return tuple(r.accuracy for r in self.results if r.accuracy is not None)

    @property
    def n(self) -> int:
        return len(self.values)

    @cached_property
    def mean(self) -> float | None:
        return statistics.fmean(self.values) if self.values else None

    @cached_property
    def std(self) -> float | None:
        """Of the sample, ddof = 1; None of fewer than two."""
        return statistics.stdev(self.values) if self.n > 1 else None

    @property
    def top5(self) -> float | None:
        """Mean of the top-5 accuracies, when every result has one."""
        values = [r.top5 for r in self.results if r.accuracy is not None]
        known = [v for v in values if v is not None]
        return statistics.fmean(known) if known and len(known) == len(values) else None

    @property
    def collapsed(self) -> int:
        """How many of the results are of collapsed runs; their accuracy is chance."""
        return sum(r.collapsed for r in self.results)

    @property
    def diverged(self) -> int:
        return sum(r.diverged for r in self.results)

    @property
    def selected_on_test(self) -> bool:
        return any(r.selected_on_test for r in self.results)

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's, in percentage points."""
        if self.mean is None or self.paper is None:
            return None
        return self.mean - self.paper.mean


@dataclass(frozen=True)
class Comparison:
    """The best cell of a column against the second: Welch's t-test, two-sided.

    p: None where no test is possible (one seed, or no variance). adjusted: by Holm's method over
    all comparisons of the table. `significant` is the only claim that may be shown.
    """

    first: str
    second: str
    p: float | None
    adjusted: float | None
    significant: bool


@dataclass(frozen=True)
class Block:
    """Rows that compete with each other: methods × columns.

    cells: complete, one for every row and column. best: the methods to be shown in bold; several
    when they tie, none when fewer than two can be compared. comparisons: of columns where two can.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: Mapping[Key, Cell]
    best: Mapping[Column, frozenset[str]] = field(default_factory=dict)
    comparisons: Mapping[Column, Comparison] = field(default_factory=dict)

    def cell(self, method: str, column: Column) -> Cell:
        return self.cells[Key(method, column)]


@dataclass(frozen=True)
class Table:
    """One grid file, filled. name: its stem. kind: 'accuracy', 'cost' or 'inference'.

    paper_speeds: what the paper prints beside `measurements`. notes: what is to be known about the
    paper's numbers, such as its contradictions.
    """

    name: str
    title: str
    kind: str
    blocks: tuple[Block, ...] = ()
    costs: tuple[CostRow, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    paper_speeds: tuple[PaperSpeed, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """Records that are not shown, why not, and what to do about it."""

    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Board:
    """All there is to show.

    folder: of the leaderboard; links are relative to it.
    others, measurements: what there is beyond the tables, a block for every setting.
    results: every result that is shown in some cell. hidden: those selected on test images, when
    they were not asked for.
    """

    folder: Path
    tables: tuple[Table, ...]
    others: tuple[Block, ...]
    results: tuple[Result, ...]
    refused: tuple[Refused, ...] = ()
    hidden: tuple[Result, ...] = ()
    measurements: tuple[Measurement, ...] = ()

    def curves(self, result: Result) -> dict[str, Any] | None:
        """A run's curves, as curves.py reduced them: name → one value an epoch, and
        `layers_positive` at the end; None when they were not collected."""
        path = self.folder / "curves" / f"{result.name}.json"
        return json.loads(path.read_bytes()) if path.exists() else None


def shown(value: float) -> str:
    """An accuracy as it is printed everywhere."""
    return f"{value:.{DIGITS}f}"


def blocks(board: Board) -> Sequence[Block]:
    """Every block of the board, the tables' first."""
    return [*(block for table in board.tables for block in table.blocks), *board.others]


def finite(value: Any) -> bool:
    """Whether a JSON value is a number, and a finite one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
