"""`dstbench leaderboard`: collect runs, and render tables, figures and page from their records."""

import argparse
import sys
from collections import Counter
from pathlib import Path

from dstbench.config import grid
from dstbench.config.shipped_files import shipped
from dstbench.errors import UserError
from dstbench.leaderboard import render
from dstbench.leaderboard.board import Board
from dstbench.leaderboard.build_board import build
from dstbench.leaderboard.collect import collect


def main(args: argparse.Namespace) -> int:
    if args.check and args.sources:
        raise UserError("--check writes nothing, and --from collects: give one of them.")
    if args.check and not args.out.is_dir():
        raise UserError(f"--out {args.out}: no such folder, so there is nothing to check.")
    grids = tables(args.grids)
    complaints = _collect(args.sources, args.out)
    board = build(args.out, grids, args.selected_on_test)
    _say_refused(board)
    if args.check:
        return _check(board)
    for path in render.write(board):
        print(path)
    try:
        drawn = render.draw(board)
    except UserError as error:
        print(f"dstbench: figures not drawn: {error.message}", file=sys.stderr)
        return 1
    if drawn:
        print(f"figures in {args.out / render.FIGURES}: {len(drawn)}")
    return 1 if complaints else 0


def tables(names: list[str]) -> list[grid.Table]:
    """The grids of these files, or the suite's own.

    Raises UserError for two of one name, which is their table's, or one that is the overview's.
    """
    found = [grid.read(name) for name in names or shipped(grid.FOLDER)]
    own = Path(render.README).stem
    counts = Counter([own, *(table.path.stem for table in found)])
    twice = [name for name, n in counts.items() if n > 1]
    if twice:
        raise UserError(
            f"the name {', '.join(twice)} is taken: each table has the name of its grid's file, "
            f"and {own} is the overview's. Rename the grid."
        )
    return found


def _collect(sources: list[str], out: Path) -> list[str]:
    """Collect, and say what came of it; the complaints."""
    if not sources:
        return []
    collected = collect(sources, out)
    print(collected.line)
    for complaint in collected.complaints:
        print(f"dstbench: {complaint}", file=sys.stderr)
    return collected.complaints


def _say_refused(board: Board) -> None:
    for refused in board.refused:
        print(f"dstbench: refused: {', '.join(refused.names)}: {refused.reason}", file=sys.stderr)


def _check(board: Board) -> int:
    stale = render.stale(board)
    for name in stale:
        print(f"{board.folder / name}: is not what the records give")
    if stale:
        print("To render again, type the same without --check.")
        return 1
    print(f"{board.folder}: up to date; results: {len(board.results)}")
    return 0
