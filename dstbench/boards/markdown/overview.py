"""Renders the leaderboard's README: tables, what is ahead, other results, rejected records."""

from collections.abc import Iterator

from dstbench.boards import board_figures
from dstbench.boards.board import Block, Board, Comparison, Table
from dstbench.boards.formatting import accuracy_text
from dstbench.boards.markdown.accuracy_blocks import footnotes, headings, sections
from dstbench.boards.markdown.text import RENDERED, document, escape, link, table
from dstbench.boards.markdown.value_tables import speed_table

PAGE = "index.html"


def render(board: Board) -> str:
    """Return the content of README.md."""
    return document(
        "# Leaderboard",
        f"{RENDERED} Runs: {len(board.runs)}. As a web page: {link(PAGE, PAGE)}.",
        _tables(board),
        *_ahead(board),
        *_others(board),
        *speed_table(board.measurements),
        *_figures(board),
        *_rejected(board),
        *_hidden(board),
    )


def _tables(board: Board) -> str:
    """Return the list of tables; those without results share one line."""
    lines = [_table_line(one) for one in board.tables if one.has_results]
    empty = [_link(one) for one in board.tables if not one.has_results]
    if empty:
        lines.append(f"- No results yet: {', '.join(empty)}")
    return "\n".join(lines)


def _link(table: Table) -> str:
    return link(escape(table.name), f"{table.name}.md")


def _table_line(table: Table) -> str:
    shows_runs = table.blocks or table.trials
    state = f" ({', '.join([f'runs: {table.runs}', *table.precisions])})" if shows_runs else ""
    return f"- {_link(table)}: {escape(table.title)}{state}"


def _ahead(board: Board) -> list[str]:
    """Return the table of all columns in which two cells can be compared."""
    rows = [
        row
        for where, block in [
            *((escape(t.name), block) for t in board.tables for block in t.blocks),
            *(("others", block) for block in board.others),
        ]
        for row in _comparison_rows(where, block)
    ]
    if not rows:
        return ["## What is ahead", "No column has two results that can be compared yet."]
    header = ["where", "", "best", "second", "by", "significant?"]
    return [
        "## What is ahead",
        table(header, rows),
        "By: difference of the means in percentage points. Significant: by Welch's t-test at 5 %, "
        "with Holm's correction over all pairs of the column.",
    ]


def _comparison_rows(where: str, block: Block) -> Iterator[list[str]]:
    for column, heading in zip(block.columns, headings(block), strict=True):
        comparison = block.comparisons.get(column)
        if comparison is None:
            continue
        first, second = (
            block.cell(method, column) for method in (comparison.first, comparison.second)
        )
        assert first.mean is not None and second.mean is not None
        yield [
            f"{where}: {escape(block.title)}" if block.title else where,
            heading,
            f"{escape(comparison.first)} {accuracy_text(first.mean)}",
            f"{escape(comparison.second)} {accuracy_text(second.mean)}",
            f"{first.mean - second.mean:.2f}",
            _claim(comparison, min(first.n, second.n)),
        ]


def _claim(comparison: Comparison, seeds: int) -> str:
    if comparison.adjusted is None:
        return "not tested: one seed" if seeds < 2 else "not tested: no variance"
    p = f"p = {comparison.adjusted:.2g}"
    return f"yes, {p}" if comparison.significant else f"no, {p}"


def _others(board: Board) -> list[str]:
    if not board.others:
        return []
    parts = ["## Results beyond the tables"]
    for block in board.others:
        parts += sections(block, level=3)
    return [*parts, footnotes(board.others)]


def _figures(board: Board) -> list[str]:
    lines = []
    for setting, plots in board_figures.plots_by_setting(board).items():
        files = ", ".join(
            link(escape(plot.title), f"figures/{setting.slug}/{plot.name}.png") for plot in plots
        )
        lines.append(f"- {escape(setting.title)}: {files}")
    return ["## Figures", "\n".join(lines)] if lines else []


def _rejected(board: Board) -> list[str]:
    if not board.rejected:
        return []
    lines = []
    for one in board.rejected:
        names = ", ".join(link(escape(name), f"records/{name}.json") for name in one.names)
        lines.append(f"- {names}: {escape(one.reason)}")
    return ["## Rejected records", "\n".join(lines)]


def _hidden(board: Board) -> list[str]:
    if not board.hidden:
        return []
    names = ", ".join(link(escape(result.name), result.link) for result in board.hidden)
    return [
        "## Hidden runs",
        "Their best epoch was chosen on test images (`--selected-on-test` shows them): " + names,
    ]
