"""Prepares values for the page's templates: column groups, all cells, ids and links."""

import itertools
from collections.abc import Iterable
from urllib.parse import quote

from dstbench.boards.board import Block, Board, all_blocks
from dstbench.boards.cells import Cell, Column, Key
from dstbench.sparsity import percent


def column_groups(block: Block) -> list[list[Column]]:
    """Return runs of adjacent columns that differ in sparsity only; each has one heading."""
    return [list(group) for _, group in itertools.groupby(block.columns, key=lambda c: c.setting)]


def all_cells(board: Board) -> list[Cell]:
    """Return each cell with a result or a paper's number once, in the order of the tables.

    If blocks disagree on a cell, one with results wins.
    """
    found: dict[Key, Cell] = {}
    for block in all_blocks(board):
        for method in block.rows:
            for column in block.columns:
                cell = block.cell(method, column)
                if cell.results or (cell.paper and cell.key not in found):
                    found[cell.key] = cell
    return list(found.values())


def all_keys(board: Board) -> list[Key]:
    """Return the keys of every cell, shown or empty."""
    keys = [key for block in all_blocks(board) for key in block.cells]
    return [*keys, *(result.key for result in board.results)]


def sparsity_texts(keys: Iterable[Key]) -> list[str]:
    """Return the sparsities of these cells as printed, in ascending order."""
    return [percent(sparsity) for sparsity in sorted({key.column.sparsity for key in keys})]


def cell_id(key: Key) -> str:
    """Return the id of a cell's row in the table of all cells."""
    return "cell-" + "-".join(
        "".join(letter if letter.isalnum() else f"_{ord(letter):x}_" for letter in str(part))
        for part in (key.method, *key.column)
    )


def relative_path(*parts: str) -> str:
    """Return a link to a file of the leaderboard.

    It has no scheme, host or query, whatever the names are.
    """
    return "./" + quote("/".join(parts))


def sort_value(value: float | None) -> str | None:
    """Return the number that page.js sorts by."""
    return None if value is None else f"{value:.10g}"


def plural(count: int, noun: str) -> str:
    """Return such as "1 run" or "1,024 runs"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
