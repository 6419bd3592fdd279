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
from dstbench.training.distributed.nonzero_ranks import silent_reporter
from dstbench.training.distributed.process_group import ProcessGroup, init_process_group
from dstbench.training.progress import Reporter
from dstbench.training.run import carry_out
from dstbench.training.runtime_options import RuntimeOptions

_REPORT_AFTER_S = 10  # by then, the first process has reported a mistake that all processes found


def main(args: argparse.Namespace) -> int:
    with init_process_group() as group:
        try:
            return start(args, group)
        except UserError:
            if not group.first:
                # If the first process found the same mistake, torchrun ends this one meanwhile.
                time.sleep(_REPORT_AFTER_S)
            raise


def start(args: argparse.Namespace, group: ProcessGroup) -> int:
    """Run as one of the processes of the run; return the exit code."""
    set_threads(args.threads)
    with group.raise_together():
        device = choose_device(args.device, group)
        if args.sync_batch_norm and device.type != "cuda":
            raise UserError("--sync-batch-norm: torch supports it on GPUs only. Remove it.")
        resolve(args.tracking)  # refuses a wrong address before anything is trained
        choices, data_root = choices_from(args)
        run, resolved = assemble(choices, default_precision(device))
    group.check_equal(resolved.sha256, "their configuration")
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True  # the same seed must give the same run
    options = RuntimeOptions(
        runs=args.runs,
        data_root=data_root,
        cache=args.cache,
        device=device,
        tracking=args.tracking,
        checkpoint_seconds=args.checkpoint_seconds,
        fresh=args.fresh,
        command=("dstbench", *sys.argv[1:]),
        plugins=tuple(args.plugins),
        group=group,
        sync_batch_norm=args.sync_batch_norm and not group.alone,
    )
    report = Reporter(quiet=args.quiet) if group.first else silent_reporter()
    return carry_out(run, resolved, options, report)
