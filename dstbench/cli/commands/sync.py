"""`dstbench sync`: send to MLflow what it lacks of runs that are on disk."""

import argparse

from dstbench.errors import UserError
from dstbench.tracking.live_mirror import sync
from dstbench.tracking.upload import RECORD


def main(args: argparse.Namespace) -> int:
    folders = args.directories or sorted(p.parent for p in args.runs.glob(f"*/{RECORD}"))
    if not folders:
        raise UserError(f"no run below {args.runs}. Name run folders, or their parent with --runs.")
    outcomes = sync(folders, args.tracking)
    for outcome in outcomes:
        print(f"{outcome.folder}: {outcome.line}")
    return 0 if all(outcome.complete for outcome in outcomes) else 1
