"""Which cells of a column are best, which cannot be told apart, and what its seeds resolve.

Best is the highest mean as printed, ties included, where at least two cells have a mean. A cell of
collapsed runs only is never best; one with a diverged run is left out, because its mean is over the
surviving runs.

All pairs of a column are tested: Welch's t-test (two-sided, unequal variances, ddof = 1) at 5 %
after Holm's correction over all tested pairs of the column. With one seed, or without variance, a
cell is not tested.
"""

import dataclasses
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from dstbench.boards.board import Block, Comparison
from dstbench.boards.cells import Cell, Column, Key
from dstbench.boards.formatting import accuracy_text
from dstbench.statistics.holm import holm
from dstbench.statistics.letters import letter_groups
from dstbench.statistics.resolution import Sample, smallest_difference

LEVEL = 0.05


def with_comparisons(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Return the blocks with best methods, comparisons, letters and resolutions filled in."""
    return tuple(_compared(block) for block in blocks)


def _compared(block: Block) -> Block:
    comparisons: dict[Column, Comparison] = {}
    letters: dict[Key, str] = {}
    resolution: dict[Column, float] = {}
    for column in block.columns:
        cells = _comparable(block, column)
        pairs = _tested_pairs(cells)
        if len(cells) >= 2 and cells[0].collapsed < cells[0].n:
            comparisons[column] = _comparison(cells[0], cells[1], pairs)
        letters |= _letters(cells, pairs)
        if (difference := _resolution(cells)) is not None:
            resolution[column] = difference
    return dataclasses.replace(
        block,
        best={column: best_methods(block, column) for column in block.columns},
        comparisons=comparisons,
        letters=letters,
        resolution=resolution,
    )


class _Test(NamedTuple):
    """Welch's test of two cells. p: uncorrected; adjusted: over all pairs of the column."""

    p: float
    adjusted: float


def _tested_pairs(cells: Sequence[Cell]) -> dict[tuple[int, int], _Test]:
    """Return the test of every pair (i, j), i < j, of cells that can be tested."""
    pairs = {
        (i, j): p
        for i, j in combinations(range(len(cells)), 2)
        if (p := welch(cells[i], cells[j])) is not None
    }
    adjusted = holm([*pairs.values()])
    return {
        pair: _Test(p, corrected)
        for (pair, p), corrected in zip(pairs.items(), adjusted, strict=True)
        if corrected is not None
    }


def _comparison(first: Cell, second: Cell, pairs: dict[tuple[int, int], _Test]) -> Comparison:
    test = pairs.get((0, 1))
    return Comparison(
        first=first.key.method,
        second=second.key.method,
        p=None if test is None else test.p,
        adjusted=None if test is None else test.adjusted,
        significant=test is not None and test.adjusted < LEVEL,
    )


def _letters(cells: Sequence[Cell], pairs: dict[tuple[int, int], _Test]) -> dict[Key, str]:
    """Return the letters of the tested cells, a for the best group."""
    tested = sorted({i for pair in pairs for i in pair})
    rank = {i: k for k, i in enumerate(tested)}
    different = {(rank[i], rank[j]) for (i, j), test in pairs.items() if test.adjusted < LEVEL}
    groups = letter_groups(len(tested), different)
    return {cells[i].key: letters for i, letters in zip(tested, groups, strict=True)}


def _resolution(cells: Sequence[Cell]) -> float | None:
    """Return the smallest difference that the column resolves; collapsed cells are left out."""
    samples = [
        Sample(cell.n, cell.std)
        for cell in cells
        if cell.std is not None and cell.collapsed < cell.n
    ]
    return smallest_difference(samples)


def best_methods(block: Block, column: Column) -> frozenset[str]:
    """Return the methods with the highest mean of a column; none if fewer than two compare."""
    cells = _comparable(block, column)
    if len(cells) < 2:
        return frozenset()
    top = accuracy_text(cells[0].mean or 0.0)
    return frozenset(
        cell.key.method
        for cell in cells
        if accuracy_text(cell.mean or 0.0) == top and cell.collapsed < cell.n
    )


def _comparable(block: Block, column: Column) -> list[Cell]:
    """Return the cells that can be compared, highest mean first, ties in row order."""
    every = (block.cell(method, column) for method in block.rows)
    cells = [cell for cell in every if cell.mean is not None and not cell.diverged]
    return sorted(cells, key=lambda cell: -(cell.mean or 0.0))


def welch(first: Cell, second: Cell) -> float | None:
    """Return p of Welch's t-test, two-sided; None where either cell has one seed or no variance."""
    if not first.std or not second.std:
        return None
    from scipy.stats import ttest_ind_from_stats  # takes 0.5 s; most boards have no pair

    return float(
        ttest_ind_from_stats(
            first.mean, first.std, first.n, second.mean, second.std, second.n, equal_var=False
        ).pvalue
    )
