"""`dstbench plot`: figures of runs, from their folders."""

import argparse

from dstbench.errors import UserError
from dstbench.figures.draw_plots import draw_runs
from dstbench.figures.load_runs import load_runs
from dstbench.recording.file_names import CURVES


def main(args: argparse.Namespace) -> int:
    folders = args.directories or sorted(p.parent for p in args.runs.glob(f"*/{CURVES}"))
    if not folders:
        raise UserError(f"no run below {args.runs}. Name run folders, or their parent with --runs.")
    for path in draw_runs(load_runs(folders), args.out):
        print(path)
    return 0
