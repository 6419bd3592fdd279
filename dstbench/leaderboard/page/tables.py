"""A table as papers print it: a row for each method, a column for each setting and sparsity."""

import itertools
from collections.abc import Iterable

from dstbench.leaderboard.board import Block, Board, Cell, Column, Key, Table
from dstbench.leaderboard.page import costs, formatting
from dstbench.leaderboard.page.html import Html, join, tag
from dstbench.leaderboard.page.parts import button, data, scrolling, slug
from dstbench.sparsity import percent


def section(table: Table, number: int) -> Html:
    """One table of the board: its blocks, costs or timings, and notes on the paper's numbers."""
    name = f"table-{number}"
    parts = [
        *(
            _block(block, f"{name}-{i}", top5=table.kind == "inference")
            for i, block in enumerate(table.blocks, 1)
        ),
        costs.costs(table.costs, f"{name}-cost") if table.costs else None,
        costs.measurements(table.measurements, table.paper_speeds, f"{name}-time")
        if table.measurements or table.paper_speeds
        else None,
    ]
    notes = [tag("li", note) for note in table.notes]
    return tag(
        "section",
        tag("h2", table.title),
        *(parts if any(parts) else [tag("p", "Nothing was run for it yet.", class_="empty")]),
        tag("ul", *notes, class_="notes") if notes else None,
        id=name,
    )


def others(board: Board) -> Html | None:
    """What there is beyond the tables."""
    parts = [_block(block, f"others-{i}") for i, block in enumerate(board.others, 1)]
    if board.measurements:
        parts.append(costs.measurements(board.measurements, (), "others-time"))
    if not parts:
        return None
    return tag("section", tag("h2", "More results"), *parts, id="others")


def sparsities(keys: Iterable[Key]) -> list[str]:
    """As they are shown, in the order of the numbers."""
    return [percent(share) for share in sorted({key.column.sparsity for key in keys})]


def _block(block: Block, name: str, top5: bool = False) -> Html:
    title = block.title or " · ".join(block.columns[0][:2])
    settings = [(s, list(g)) for s, g in itertools.groupby(block.columns, key=lambda c: c[:-1])]
    heads = [
        tag("th", tag("span", f"{s[0]} · {s[1]}"), tag("span", _how(g[0]), class_="small"),
            scope="colgroup", colspan=len(g), data_columns=len(g), class_="setting")
        for s, g in settings
    ]  # fmt: skip
    first = {columns[0] for _, columns in settings}
    columns = [
        button(percent(column.sparsity), f"{i}", first=column in first,
               data_about=" ".join(column[:-1]), **data(column))
        for i, column in enumerate(block.columns)
    ]  # fmt: skip
    rows = [
        tag(
            "tr",
            tag("th", formatting.method(method), scope="row", data_value=block.rows.index(method)),
            *(_cell(block, block.cell(method, c), c in first, top5) for c in block.columns),
            data_method=method,
        )
        for method in block.rows
    ]
    table = tag(
        "table",
        tag("caption", title),
        tag(
            "thead",
            tag("tr", button("method", "method", numbers=False, rowspan=2), *heads),
            tag("tr", *columns),
        ),
        tag("tbody", *rows),
        id=name,
        class_="matrix",
    )
    return scrolling(table, title)


def _cell(block: Block, cell: Cell, first: bool, top5: bool) -> Html:
    """The accuracy, which leads to its records, and below it what it is to be held against."""
    best = cell.key.method in block.best.get(cell.key.column, frozenset())
    accuracy = formatting.accuracy(cell, top5)
    if cell.results:
        accuracy = tag("a", accuracy, href=f"#{slug(cell.key)}")
    return tag(
        "td",
        accuracy,
        _ahead(block, cell),
        tag("span", f"n {cell.n}", class_="small") if cell.results else None,
        tag("span", formatting.against(cell, top5), class_="small") if cell.paper else None,
        formatting.marks(cell),
        class_=" ".join(["best"] * best + ["first"] * first) or None,
        data_value=None if cell.mean is None else f"{cell.mean:.10g}",
    )


def _ahead(block: Block, cell: Cell) -> Html | None:
    compared = block.comparisons.get(cell.key.column)
    if not compared or not compared.significant or compared.first != cell.key.method:
        return None
    return tag("b", "*", title=f"ahead of {compared.second}: adjusted p = {compared.adjusted:.2g}")


def _how(column: Column) -> Html:
    return join(column.recipe, column.protocol, column.precision or None, by=" · ")
