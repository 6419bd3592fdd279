"""`dstbench plot`: figures of runs, from their folders."""

import argparse

from dstbench import figures
from dstbench.errors import UserError


def main(args: argparse.Namespace) -> int:
    folders = args.directories or sorted(p.parent for p in args.runs.glob("*/curves.jsonl"))
    if not folders:
        raise UserError(f"no run below {args.runs}. Name run folders, or their parent with --runs.")
    for path in figures.draw(figures.read(folders), args.out):
        print(path)
    return 0
