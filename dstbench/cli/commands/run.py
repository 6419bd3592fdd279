"""`dstbench run`: starts a run, resumes it, or shows its result."""

import argparse
import sys
import time

import torch

from dstbench.cli.arguments import choices_from
from dstbench.errors import UserError
from dstbench.tracking.store_uri import resolve
from dstbench.training.configure import assemble
from dstbench.training.device import choose_device, default_precision, set_threads
from dstbench.training.distributed.follower import silent
from dstbench.training.distributed.process_group import ProcessGroup, joined
from dstbench.training.progress import Reporter
from dstbench.training.run import carry_out
from dstbench.training.runtime_options import RuntimeOptions

_REPORT_AFTER_S = 5  # by then, the first process has reported a mistake that all processes found


def main(args: argparse.Namespace) -> int:
    with joined() as ranks:
        try:
            return start(args, ranks)
        except UserError:
            if not ranks.first:
                # If the first process found the same mistake, torchrun ends this one meanwhile.
                time.sleep(_REPORT_AFTER_S)
            raise


def start(args: argparse.Namespace, ranks: ProcessGroup) -> int:
    """Run as one of the processes of the run; return the exit code."""
    set_threads(args.threads)
    with ranks.raise_together():
        device = choose_device(args.device, ranks)
        if args.sync_batch_norm and device.type != "cuda":
            raise UserError("--sync-batch-norm: torch supports it on GPUs only. Remove it.")
        resolve(args.tracking)  # refuses a wrong address before anything is trained
        choices, data_root = choices_from(args)
        run, resolved = assemble(choices, default_precision(device))
    ranks.check_equal(resolved.sha256, "their configuration")
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True  # the same seed must give the same run
    place = RuntimeOptions(
        runs=args.runs,
        data_root=data_root,
        cache=args.cache,
        device=device,
        tracking=args.tracking,
        checkpoint_seconds=args.checkpoint_seconds,
        fresh=args.fresh,
        command=("dstbench", *sys.argv[1:]),
        plugins=tuple(args.plugins),
        ranks=ranks,
        sync_batch_norm=args.sync_batch_norm and not ranks.alone,
    )
    report = Reporter(quiet=args.quiet) if ranks.first else silent()
    return carry_out(run, resolved, place, report)
