"""`dstbench leaderboard`: collect runs, and render tables, figures and page from their records."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dstbench.api.board import read_grids, render, stale_grids
from dstbench.boards import grid_runs, write_files
from dstbench.boards.badge_files import badge_file_problems
from dstbench.boards.board import Board
from dstbench.boards.build_board import build_board
from dstbench.config import grid
from dstbench.errors import UserError


def main(args: argparse.Namespace) -> int:
    if args.check and (args.sources or args.count_costs):
        option = "--from" if args.sources else "--count-costs"
        raise UserError(f"--check writes nothing, and {option} writes files: give one of them.")
    if args.check:
        return _check(args)
    if args.count_costs:
        _count_costs(read_grids(args.grids), args.out, args.plugins)
    done = render(args.grids, args.sources, args.out, args.selected_on_test, args.plugins)
    if done.collected is not None:
        print(done.collected.line)
        for complaint in done.collected.complaints:
            print(f"dstbench: {complaint}", file=sys.stderr)
    _print_rejected(done.board)
    for path in [*done.lists, *done.written]:
        print(path)
    for name in write_files.tables_of_other_calls(done.board):
        print(
            f"{args.out / name} is of another call and not in the overview: delete it, or name its "
            "grid, too"
        )
    if done.not_drawn:
        print(f"dstbench: figures not drawn: {done.not_drawn}", file=sys.stderr)
        return 1
    if done.drawn:
        print(f"figures in {args.out / write_files.FIGURES}: {len(done.drawn)}")
    complaints = done.collected is not None and done.collected.complaints
    return 1 if complaints or done.board.refused else 0


def _count_costs(grids: list[grid.Table], out: Path, plugins: Sequence[Path]) -> None:
    from dstbench.api.count_costs import count_costs  # needs torch, which rendering does not

    jobs = [job for table in grids if table.kind == "cost" for job in table.jobs]
    for path in count_costs(jobs, out, plugins):
        print(path)


def _print_rejected(board: Board) -> None:
    for one in board.rejected:
        what = "rejected, a run of a grid" if one in board.refused else "rejected"
        print(f"dstbench: {what}: {', '.join(one.names)}: {one.reason}", file=sys.stderr)


def _check(args: argparse.Namespace) -> int:
    """Compare a leaderboard's files with its records; write nothing."""
    if not args.out.is_dir():
        raise UserError(f"--out {args.out}: no such folder, so there is nothing to check.")
    grids = read_grids(args.grids)
    lists = [grid_runs.path_of(args.out, one) for one in stale_grids(grids, args.out)]
    board = build_board(args.out, grids, args.selected_on_test)
    _print_rejected(board)
    for path in lists:
        print(f"{path}: does not match the grid")
    stale = write_files.stale_files(board)
    for name in stale:
        print(f"{board.folder / name}: does not match the records")
    if stale or lists:
        print("To render again, run the same command without --check.")
    damaged = list(badge_file_problems(board.folder))
    for problem in damaged:
        print(problem)
    if damaged:
        print("Restore these files, or run dstbench verify --write, which takes the badges back.")
    if stale or lists or damaged:
        return 1
    print(f"{board.folder}: up to date; results: {len(board.runs)}")
    return 1 if board.refused else 0
