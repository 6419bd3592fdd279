"""`dstbench leaderboard`: collect runs, and render tables, figures and page from their records."""

import argparse
import sys
from collections import Counter
from pathlib import Path

from dstbench.boards import grid_runs, write_files
from dstbench.boards.badge_files import badge_file_problems
from dstbench.boards.board import Board
from dstbench.boards.build_board import build_board
from dstbench.boards.collect_runs import collect_runs
from dstbench.config import grid
from dstbench.config.shipped_files import shipped
from dstbench.errors import UserError


def main(args: argparse.Namespace) -> int:
    if args.check and (args.sources or args.count_costs):
        option = "--from" if args.sources else "--count-costs"
        raise UserError(f"--check writes nothing, and {option} writes files: give one of them.")
    if args.check and not args.out.is_dir():
        raise UserError(f"--out {args.out}: no such folder, so there is nothing to check.")
    grids = read_grids(args.grids)
    complaints = _collect(args.sources, args.out)
    if args.count_costs:
        _count_costs(grids, args.out)
    stale = _update_grid_runs(grids, args.out, args.check)
    board = build_board(args.out, grids, args.selected_on_test)
    _print_rejected(board)
    if args.check:
        return _check(board, stale)
    for path in write_files.write_text_files(board):
        print(path)
    try:
        drawn = write_files.draw_figures(board)
    except UserError as error:
        print(f"dstbench: figures not drawn: {error.message}", file=sys.stderr)
        return 1
    if drawn:
        print(f"figures in {args.out / write_files.FIGURES}: {len(drawn)}")
    return 1 if complaints or board.refused else 0


def read_grids(names: list[str]) -> list[grid.Table]:
    """Return the grids of these files, or the suite's own.

    Raises UserError when two have the same name, or one that of the overview: a table's file is
    named after its grid.
    """
    found = [grid.read(name) for name in names or shipped(grid.FOLDER)]
    overview = Path(write_files.README).stem
    counts = Counter([overview, *(table.path.stem for table in found)])
    twice = [name for name, n in counts.items() if n > 1]
    if twice:
        raise UserError(
            f"the name {', '.join(twice)} is taken: each table has the name of its grid's file, "
            f"and {overview} is the overview's. Rename the grid."
        )
    return found


def _collect(sources: list[str], out: Path) -> list[str]:
    """Collect runs, print the outcome, and return the complaints."""
    if not sources:
        return []
    collected = collect_runs(sources, out)
    print(collected.line)
    for complaint in collected.complaints:
        print(f"dstbench: {complaint}", file=sys.stderr)
    return collected.complaints


def _count_costs(grids: list[grid.Table], out: Path) -> None:
    from dstbench.cli.count_costs import count_costs  # needs torch, which rendering does not

    for path in count_costs([job for t in grids if t.kind == "cost" for job in t.jobs], out):
        print(path)


def _update_grid_runs(grids: list[grid.Table], out: Path, check: bool) -> list[str]:
    """Write the lists of the grids' runs that are out of date; only name them for --check."""
    stale = [g for g in grids if g.kind != "cost" and grid_runs.read(out, g) is None]
    if check:
        return [str(grid_runs.path_of(out, one)) for one in stale]
    for one in stale:
        from dstbench.cli.grid_hashes import grid_hashes  # needs torch, which rendering does not

        print(grid_runs.write(out, one, grid_hashes(one)))
    return []


def _print_rejected(board: Board) -> None:
    for one in board.rejected:
        what = "rejected, a run of a grid" if one in board.refused else "rejected"
        print(f"dstbench: {what}: {', '.join(one.names)}: {one.reason}", file=sys.stderr)


def _check(board: Board, stale_grids: list[str]) -> int:
    for path in stale_grids:
        print(f"{path}: does not match the grid")
    stale = write_files.stale_files(board)
    for name in stale:
        print(f"{board.folder / name}: does not match the records")
    if stale or stale_grids:
        print("To render again, run the same command without --check.")
    damaged = list(badge_file_problems(board.folder))
    for problem in damaged:
        print(problem)
    if damaged:
        print("Restore these files, or run dstbench verify --write, which takes the badges back.")
    if stale or stale_grids or damaged:
        return 1
    print(f"{board.folder}: up to date; results: {len(board.results)}")
    return 1 if board.refused else 0
