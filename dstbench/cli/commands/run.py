"""`dstbench run`: one run, started, gone on with, or shown."""

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

ALONE_AFTER_S = 5  # by then a mistake that all processes met was said by the first


def main(args: argparse.Namespace) -> int:
    with joined() as ranks:
        try:
            return start(args, ranks)
        except UserError:
            if not ranks.first:  # it says it too, and torchrun ends all when one leaves;
                time.sleep(ALONE_AFTER_S)  # if not, only this process knows, such as of its image
            raise


def start(args: argparse.Namespace, ranks: ProcessGroup) -> int:
    """The run that was typed, as one of its processes."""
    set_threads(args.threads)
    with ranks.raise_together():
        device = choose_device(args.device, ranks)
        if args.sync_batch_norm and device.type != "cuda":
            raise UserError("--sync-batch-norm: torch has it for GPUs only. Leave it out.")
        resolve(args.tracking)  # a mistyped store is refused before anything is trained
        choices, data_root = choices_from(args)
        run, resolved = assemble(choices, default_precision(device))
    ranks.check_equal(resolved.sha256, "their configuration")
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True  # the same seed is to give the same run
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
