"""`dstbench run`: starts a run, resumes it, or shows its result."""

import argparse
import sys

from dstbench.api.result import Result
from dstbench.api.train import start
from dstbench.cli.arguments import choices_from
from dstbench.recording.record import OVER
from dstbench.training.outcome import Outcome
from dstbench.training.progress import Reporter
from dstbench.training.runtime_options import RuntimeOptions


def main(args: argparse.Namespace) -> int:
    choices, data_root = choices_from(args)
    options = RuntimeOptions(
        runs=args.runs,
        data_root=data_root,
        cache=args.cache,
        threads=args.threads,
        tracking=args.tracking,
        checkpoint_seconds=args.checkpoint_seconds,
        fresh=args.fresh,
        command=("dstbench", *sys.argv[1:]),
        plugins=tuple(args.plugins),
        sync_batch_norm=args.sync_batch_norm,
    )
    return start(choices, options, args.device, Reporter(quiet=args.quiet), show).exit_code


def show(outcome: Outcome) -> None:
    """Print the summary of a run that is over."""
    if outcome.record["status"] in OVER:
        print(Result.of(outcome).summary())
