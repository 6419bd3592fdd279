"""Which cell of a column is best, and whether it is really ahead of the second.

The best are those whose mean prints highest, ties included, where at least two cells have a mean. A
cell whose every run collapsed is never best; one with a diverged run is left out, because its mean
is of the runs that survived.

Ahead for certain is only what Welch's t-test (two-sided, unequal variances, ddof = 1) says at 5 %
after Holm's correction over all columns of the table. One seed, or no variance at all, allows no
such claim.
"""

import dataclasses
from collections.abc import Sequence

from dstbench.leaderboard.board import Block, Cell, Column, Comparison, shown

LEVEL = 0.05


def decided(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """The blocks of one table with their best cells and comparisons filled in."""
    found = [(i, column, _pair(block, column))
             for i, block in enumerate(blocks) for column in block.columns]  # fmt: skip
    pairs = [(i, column, pair) for i, column, pair in found if pair is not None]
    raw = [welch(*pair) for _, _, pair in pairs]
    adjusted = holm(raw)
    comparisons: list[dict[Column, Comparison]] = [{} for _ in blocks]
    for (i, column, (first, second)), p, corrected in zip(pairs, raw, adjusted, strict=True):
        comparisons[i][column] = Comparison(
            first.key.method, second.key.method, p, corrected,
            corrected is not None and corrected < LEVEL,
        )  # fmt: skip
    return tuple(
        dataclasses.replace(
            block,
            best={column: best(block, column) for column in block.columns},
            comparisons=comparisons[i],
        )
        for i, block in enumerate(blocks)
    )


def best(block: Block, column: Column) -> frozenset[str]:
    """The methods that are best in a column, as the module says."""
    cells = _contenders(block, column)
    if len(cells) < 2:
        return frozenset()
    top = shown(cells[0].mean or 0.0)
    return frozenset(
        cell.key.method
        for cell in cells
        if shown(cell.mean or 0.0) == top and cell.collapsed < cell.n
    )


def _pair(block: Block, column: Column) -> tuple[Cell, Cell] | None:
    """The best cell and the second, where the best is any good."""
    cells = _contenders(block, column)
    if len(cells) < 2 or cells[0].collapsed == cells[0].n:
        return None
    return cells[0], cells[1]


def _contenders(block: Block, column: Column) -> list[Cell]:
    """Cells that can be compared, the highest mean first, equal ones in the order of the rows."""
    cells = [block.cell(method, column) for method in block.rows]
    able = [cell for cell in cells if cell.mean is not None and not cell.diverged]
    return sorted(able, key=lambda cell: -(cell.mean or 0.0))


def welch(first: Cell, second: Cell) -> float | None:
    """p of Welch's t-test, two-sided; None where either has one seed or no variance."""
    if not first.std or not second.std:
        return None
    from scipy.stats import ttest_ind_from_stats  # half a second, and most boards have no pair

    return float(
        ttest_ind_from_stats(
            first.mean, first.std, first.n, second.mean, second.std, second.n, equal_var=False
        ).pvalue
    )


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction over those that are there; never above 1."""
    order = sorted((p, i) for i, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        adjusted[i] = highest
    return adjusted
