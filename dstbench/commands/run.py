"""`dstbench run`: one run, started, gone on with, or shown."""

import argparse
import re
import sys

import torch

from dstbench import data
from dstbench.assemble import assemble
from dstbench.commands.choices import choices_from
from dstbench.config import Resolved
from dstbench.errors import UserError
from dstbench.place import Place, choose_device, default_precision
from dstbench.progress import Reporter, summary
from dstbench.run import Run
from dstbench.rundir import RECORD, RunDirectory
from dstbench.session import Session
from dstbench.stop import Interrupted
from dstbench.tracking import Mirror, mirrored_to

DONE = ("finished", "diverged")


def main(args: argparse.Namespace) -> int:
    if args.threads is not None:
        if not 1 <= args.threads <= 4096:
            raise UserError(f"--threads {args.threads}: must be at least 1 and at most 4096.")
        torch.set_num_threads(args.threads)
    device = choose_device(args.device)
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True  # the same seed is to give the same run
    choices, data_root = choices_from(args)
    run, resolved = assemble(choices, default_precision(device))
    place = Place(
        runs=args.runs,
        data_root=data_root,
        cache=args.cache,
        device=device,
        tracking=args.tracking,
        checkpoint_seconds=args.checkpoint_seconds,
        fresh=args.fresh,
        command=("dstbench", *sys.argv[1:]),
    )
    report = Reporter(quiet=args.quiet)
    return carry_out(run, resolved, place, report)


def carry_out(run: Run, resolved: Resolved, place: Place, report: Reporter) -> int:
    """Bring the run to its end, from wherever it stands, and show what it came to."""
    folder = RunDirectory(place.runs / run_name(run, resolved))
    with folder.locked():
        dataset = data.load(run.dataset, place.data_root, place.cache)
        record = None if place.fresh else folder.record()
        if record is not None and record["provenance"]["dataset_sha256"] != dataset.sha256:
            raise UserError(
                f"{folder.path} holds results on other images than {dataset.name} has now. Give "
                "your data another name, or start over with --fresh."
            )
        if record is not None and record["status"] in DONE:
            report.note("This run is done already; --fresh starts it over.")
            print(summary(record, str(folder.path / RECORD), mirrored_to(folder.path)))
            return 0 if record["status"] == "finished" else 1
        session = Session(run, resolved, place, folder, dataset, report)
        if place.fresh:  # not before the new run is known to be possible
            folder.clear()
        mirror = Mirror(folder.path, place.tracking)
        try:
            record = session.go()
        except Interrupted as error:
            mirror.finish(timeout_s=5)
            report.note(f"Stopped by {error}; everything is saved. The same command goes on.")
            return error.exit_code
        print(summary(record, str(folder.path / RECORD), mirror.finish(timeout_s=30)))
        return 0 if record["status"] == "finished" else 1


def run_name(run: Run, resolved: Resolved) -> str:
    """Folder name of a run: what a person looks for, then what makes it unique."""
    words = (
        run.method.name, run.dataset, run.model.__name__, f"s{run.method.sparsity:g}",
        f"seed{run.seed}", resolved.sha256[:8],
    )  # fmt: skip
    return "-".join(re.sub(r"[^a-z0-9._]+", "_", word.lower()) for word in words)
