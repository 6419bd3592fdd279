"""Which cell of a column is best, and whether it is significantly ahead of the second.

Best is the highest mean as printed, ties included, where at least two cells have a mean. A cell of
collapsed runs only is never best; one with a diverged run is left out, because its mean is over the
surviving runs.

A difference is significant by Welch's t-test (two-sided, unequal variances, ddof = 1) at 5 % after
Holm's correction over all columns of the table. With one seed, or without variance, it is not
tested.
"""

import dataclasses
from collections.abc import Sequence

from dstbench.leaderboard.board import Block, Comparison
from dstbench.leaderboard.cells import Cell, Column
from dstbench.leaderboard.formatting import accuracy_text

LEVEL = 0.05


def with_comparisons(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Return the blocks of one table with their best methods and comparisons filled in."""
    found = [
        (i, column, _best_two(block, column))
        for i, block in enumerate(blocks)
        for column in block.columns
    ]
    pairs = [(i, column, pair) for i, column, pair in found if pair is not None]
    raw = [welch(*pair) for _, _, pair in pairs]
    adjusted = holm(raw)
    comparisons: list[dict[Column, Comparison]] = [{} for _ in blocks]
    for (i, column, (first, second)), p, corrected in zip(pairs, raw, adjusted, strict=True):
        comparisons[i][column] = Comparison(
            first=first.key.method,
            second=second.key.method,
            p=p,
            adjusted=corrected,
            significant=corrected is not None and corrected < LEVEL,
        )
    return tuple(
        dataclasses.replace(
            block,
            best={column: best_methods(block, column) for column in block.columns},
            comparisons=comparisons[i],
        )
        for i, block in enumerate(blocks)
    )


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


def _best_two(block: Block, column: Column) -> tuple[Cell, Cell] | None:
    """Return the best cell and the second; None if there are none, or the best collapsed."""
    cells = _comparable(block, column)
    if len(cells) < 2 or cells[0].collapsed == cells[0].n:
        return None
    return cells[0], cells[1]


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


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Return p-values after Holm's step-down correction, at most 1; None stays None."""
    order = sorted((p, i) for i, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        adjusted[i] = highest
    return adjusted
