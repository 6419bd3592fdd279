"""The leaderboard as one static page: tables that sort and filter, figures, records, commands.

The same board gives the same bytes. The page asks nobody for anything: its style and script are in
it, named by hash in a Content-Security-Policy that allows nothing else; pictures and records lie
beside it. Without JavaScript it still shows everything.

html.py       markup, escaped by construction
marks.py      numbers, marks and methods as they are shown
grid.py       what all tables have: heads that sort, a box that scrolls
tables.py     a table of the paper: methods × settings
every.py      all cells, one a row, with their records and commands
costs.py      what networks cost, counted and timed
sections.py   figures, what was refused, how to reproduce
page.html, page.css, page.js    the frame, its looks, sorting and filtering
"""

import base64
import hashlib
from importlib.resources import files
from string import Template

from dstbench.figures.styles import in_order
from dstbench.leaderboard import gallery
from dstbench.leaderboard.board import Board, blocks
from dstbench.leaderboard.page import all_cells, formatting, sections, tables
from dstbench.leaderboard.page.html import Html, join, tag


def render(board: Board) -> str:
    """The page, to be written beside `records/` and `figures/` as index.html."""
    frame, style, script = (_file(name) for name in ("page.html", "page.css", "page.js"))
    drawn = gallery.sets(board)
    body = [
        *(tables.section(table, number) for number, table in enumerate(board.tables, 1)),
        tables.others(board),
        formatting.legend(),
        sections.figures(drawn),
        all_cells.section(board),
        sections.refused(board),
        sections.reproduce(),
    ]
    return Template(frame).substitute(
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        summary=_summary(board),
        filters=_filters(board),
        navigation=_navigation(board, bool(drawn)),
        body=join(*body, by="\n"),
    )


def _summary(board: Board) -> Html:
    methods = {result.key.method for result in board.results}
    settings = {result.key.column[:-1] for result in board.results}
    return tag(
        "p",
        f"{_many(len(board.results), 'run')} of {_many(len(methods), 'method')} "
        f"in {_many(len(settings), 'setting')}",
        class_="summary",
    )


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _navigation(board: Board, figures_too: bool) -> Html:
    links = [(f"#table-{i}", table.title) for i, table in enumerate(board.tables, 1)]
    if board.others or board.measurements:
        links.append(("#others", "More results"))
    links.append(("#legend", "Marks"))
    if figures_too:
        links.append(("#figures", "Figures"))
    links += [("#cells", "All cells"), ("#reproduce", "Reproduce")]
    return join(*(tag("a", title, href=href) for href, title in links))


def _filters(board: Board) -> Html:
    """A choice for every kind of thing there is more than one of; page.js reads their names."""
    keys = [cell.key for block in blocks(board) for cell in block.cells.values()]
    keys += [result.key for result in board.results]
    return join(
        _choice("method", in_order(key.method for key in keys)),
        _choice("dataset", sorted({key.column.dataset for key in keys})),
        _choice("model", sorted({key.column.model for key in keys})),
        _choice("sparsity", tables.sparsities(keys)),
    )


def _choice(name: str, values: list[str]) -> Html | None:
    if len(values) < 2:
        return None
    options = [tag("option", "all", value=""), *(tag("option", v, value=v) for v in values)]
    return tag("label", tag("span", name), tag("select", *options, name=name))


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
