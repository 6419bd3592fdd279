"""`dstbench sync`: sends to MLflow what it lacks of run folders."""

import argparse

from dstbench.errors import UserError
from dstbench.recording.file_names import RECORD
from dstbench.tracking.sync import sync


def main(args: argparse.Namespace) -> int:
    folders = args.directories or sorted(p.parent for p in args.runs.glob(f"*/{RECORD}"))
    if not folders:
        raise UserError(f"no run below {args.runs}. Give run folders, or their parent with --runs.")
    outcomes = sync(folders, args.tracking)
    for outcome in outcomes:
        print(f"{outcome.folder}: {outcome.line}")
    return 0 if all(outcome.complete for outcome in outcomes) else 1
