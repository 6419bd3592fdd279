"""The board's files: written, or compared with what is there. The same board gives the same bytes.

Figures are compared by the data they were drawn from, see figures.py.
"""

from pathlib import Path

from dstbench.errors import UserError
from dstbench.leaderboard import gallery
from dstbench.leaderboard.board import Board
from dstbench.leaderboard.markdown import overview, tables
from dstbench.leaderboard.page import render
from dstbench.utils.files import write_atomic

README, FIGURES = "README.md", "figures"


def files(board: Board) -> dict[str, bytes]:
    """Name → content of every text file of the board."""
    found = {f"{table.name}.md": tables.render(table) for table in board.tables}
    found |= {README: overview.render(board), overview.PAGE: render.render(board)}
    return {name: text.encode() for name, text in found.items()}


def write(board: Board) -> list[Path]:
    """Write what is not there as it should be; the paths of all text files.

    Raises UserError for a file that cannot be written.
    """
    try:
        board.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {board.folder}: cannot be made ({error.strerror}).") from None
    paths = []
    for name, content in files(board).items():
        path = board.folder / name
        if not _is(path, content):
            write_atomic(path, content)
        paths.append(path)
    return paths


def draw(board: Board) -> list[Path]:
    """Draw the figures whose data has changed; the paths of all.

    Raises UserError when matplotlib is missing and one has.
    """
    return gallery.draw(board, board.folder / FIGURES)


def stale(board: Board) -> list[str]:
    """Names of files that are not what the board gives; nothing is written."""
    texts = [n for n, content in files(board).items() if not _is(board.folder / n, content)]
    drawn = gallery.stale(board, board.folder / FIGURES)
    return [*texts, *(f"{FIGURES}/{name}" for name in drawn)]


def _is(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content
