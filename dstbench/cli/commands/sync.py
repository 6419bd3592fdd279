"""`dstbench sync`: sends to MLflow what it lacks of run folders."""

import argparse

from dstbench.errors import UserError
from dstbench.recording.file_names import RECORD
from dstbench.tracking.sync import sync


def main(args: argparse.Namespace) -> int:
    folders = args.directories or sorted(p.parent for p in args.runs.glob(f"*/{RECORD}"))
    if not folders:
        raise UserError(f"no run below {args.runs}. Give run folders, or their parent with --runs.")
    incomplete = 0
    for i, outcome in enumerate(sync(folders, args.tracking), 1):
        print(f"[{i}/{len(folders)}] {outcome.folder}: {outcome.line}", flush=True)
        incomplete += not outcome.complete
    return 1 if incomplete else 0
