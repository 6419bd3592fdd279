"""Writes the board's files, or compares them with those on disk.

The same board gives the same bytes. Figures are compared by the data they were drawn from, see
board_figures.py.
"""

from pathlib import Path

from dstbench.boards import board_figures
from dstbench.boards.board import Board
from dstbench.boards.markdown import overview, table_file
from dstbench.boards.markdown.text import RENDERED
from dstbench.boards.page.render_page import render_page
from dstbench.utils.files import make_folder, write_atomic
from dstbench.utils.printable import utf8

README, FIGURES = "README.md", "figures"


def text_files(board: Board) -> dict[str, bytes]:
    """Return name → content of every text file of the board."""
    found = {f"{table.name}.md": table_file.render(table) for table in board.tables}
    found |= {README: overview.render(board), overview.PAGE: render_page(board)}
    return {name: utf8(text) for name, text in found.items()}


def write_text_files(board: Board) -> list[Path]:
    """Write the text files that are missing or out of date; return the paths of all.

    Raises UserError for a file that cannot be written.
    """
    make_folder(board.folder)
    paths = []
    for name, content in text_files(board).items():
        path = board.folder / name
        if not _has_content(path, content):
            write_atomic(path, content)
        paths.append(path)
    return paths


def draw_figures(board: Board) -> list[Path]:
    """Draw the figures whose data has changed; return the paths of all.

    Raises UserError when matplotlib is missing and a figure has changed.
    """
    return board_figures.draw_stale(board, board.folder / FIGURES)


def stale_files(board: Board) -> list[str]:
    """Return the names of files that are missing or out of date; writes nothing."""
    contents = text_files(board).items()
    texts = [name for name, content in contents if not _has_content(board.folder / name, content)]
    drawn = board_figures.stale_figures(board, board.folder / FIGURES)
    return [*texts, *(f"{FIGURES}/{name}" for name in drawn)]


def tables_of_other_calls(board: Board) -> list[str]:
    """Return the names of tables in the folder that are of other grids than the board's."""
    own = {f"{table.name}.md" for table in board.tables} | {README}
    found = (path for path in sorted(board.folder.glob("*.md")) if path.name not in own)
    return [path.name for path in found if RENDERED in path.read_text(errors="replace")]


def _has_content(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content
