"""All cells, one a row: to sort, to filter, and to find records and commands behind a number."""

import shlex
from collections.abc import Iterable

from dstbench.leaderboard.board import Board, Cell, Key, Result, blocks, shown
from dstbench.leaderboard.page import formatting
from dstbench.leaderboard.page.html import Html, join, path, tag
from dstbench.leaderboard.page.parts import button, data, scrolling, slug
from dstbench.sparsity import percent


def section(board: Board) -> Html:
    """A row for every cell that has a result or a number of the paper's."""
    heads = [
        button("method", "method", numbers=False),
        button("dataset", "dataset", numbers=False),
        button("model", "model", numbers=False),
        button("sparsity", "sparsity"),
        button("accuracy, %", "accuracy"),
        button("n", "n"),
        tag("th", "records", scope="col"),
        button("paper", "paper"),
        button("difference", "difference"),
        button("MACs", "macs"),
        button("live weights", "live"),
        button("recipe", "recipe", numbers=False),
        button("protocol", "protocol", numbers=False),
    ]
    rows = [_row(cell) for cell in cells(board)]
    table = tag(
        "table",
        tag("caption", "Every cell of the tables above"),
        tag("thead", tag("tr", *heads)),
        tag("tbody", *rows),
        id="every",
    )
    return tag("section", tag("h2", "All cells"), scrolling(table, "All cells"), id="cells")


def cells(board: Board) -> Iterable[Cell]:
    """Each cell once, in the order in which the tables show them; fuller ones win."""
    found: dict[Key, Cell] = {}
    for block in blocks(board):
        for method in block.rows:
            for column in block.columns:
                cell = block.cell(method, column)
                if cell.results or (cell.paper and cell.key not in found):
                    found[cell.key] = cell
    return found.values()


def _row(cell: Cell) -> Html:
    method, column = cell.key
    first = cell.results[0] if cell.results else None
    how = join(column.protocol, column.precision or None, by=" · ")
    return tag(
        "tr",
        tag("th", formatting.method(method), scope="row"),
        tag("td", column.dataset),
        tag("td", column.model),
        _number(percent(column.sparsity), column.sparsity),
        _number(join(formatting.accuracy(cell), formatting.marks(cell)), cell.mean),
        _number(f"{cell.n}", cell.n),
        tag("td", _records(cell) if cell.results else formatting.NOTHING),
        _number(formatting.paper(cell), cell.paper.mean if cell.paper else None),
        _number(formatting.difference(cell), cell.difference),
        _count(first.macs if first else None),
        _count(first.live if first else None),
        tag("td", column.recipe),
        tag("td", how),
        id=slug(cell.key),
        data_method=method,
        **data(column),
    )


def _records(cell: Cell) -> Html:
    """The seeds with their records, and what to type for each."""
    n = len(cell.results)
    return tag(
        "details",
        tag("summary", f"{n} record{'' if n == 1 else 's'}"),
        tag("ul", *(_record(result) for result in cell.results)),
    )


def _record(result: Result) -> Html:
    said = "diverged" if result.accuracy is None else f"{shown(result.accuracy)} %"
    command = shlex.join(result.command)
    return tag(
        "li",
        tag("a", f"seed {result.seed}: {said}", href=path(result.link)),
        tag("code", command, tabindex="0") if command else None,
    )


def _count(value: int | None) -> Html:
    return _number(formatting.NOTHING if value is None else f"{value:,}", value)


def _number(said: str, value: float | None) -> Html:
    return tag(
        "td",
        said,
        class_="number",
        data_value=None if value is None else f"{value:.10g}",
    )
