"""`dstbench run`: one run, started, gone on with, or shown."""

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from dstbench import history, naming
from dstbench.assemble import assemble
from dstbench.commands.choices import choices_from
from dstbench.config import Resolved
from dstbench.distributed import Ranks, joined
from dstbench.errors import UserError
from dstbench.follower import Unwritten, silent
from dstbench.images import Dataset
from dstbench.place import Place, choose_device, default_precision, set_threads
from dstbench.progress import Reporter, summary
from dstbench.run import Run
from dstbench.rundir import RECORD, RunDirectory
from dstbench.session import Session
from dstbench.stop import Interrupted
from dstbench.tracking import Mirror, mirrored_to
from dstbench.tracking.store import resolve

DONE = ("finished", "diverged")
ALONE_AFTER_S = 5  # by then a mistake that all processes met was said by the first


def main(args: argparse.Namespace) -> int:
    with joined() as ranks:
        try:
            return start(args, ranks)
        except UserError:
            if not ranks.first:  # it says it too, and torchrun ends all when one leaves;
                time.sleep(ALONE_AFTER_S)  # if not, only this process knows, such as of its image
            raise


def start(args: argparse.Namespace, ranks: Ranks) -> int:
    """The run that was typed, as one of its processes."""
    set_threads(args.threads)
    with ranks.agreed():
        device = choose_device(args.device, ranks)
        if args.sync_batch_norm and device.type != "cuda":
            raise UserError("--sync-batch-norm: torch has it for GPUs only. Leave it out.")
        resolve(args.tracking)  # a mistyped store is refused before anything is trained
        choices, data_root = choices_from(args)
        run, resolved = assemble(choices, default_precision(device))
    ranks.refuse_unlike(resolved.sha256, "their configuration")
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True  # the same seed is to give the same run
    place = Place(
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


def carry_out(run: Run, resolved: Resolved, place: Place, report: Reporter) -> int:
    """Bring the run to its end, from wherever it stands, and show what it came to."""
    ranks, path = place.ranks, place.runs / run_name(run, resolved)
    folder = RunDirectory(path) if ranks.first else Unwritten(path)
    with ExitStack() as held:
        with ranks.agreed():
            held.enter_context(folder.locked())
        dataset = loaded(run, place)
        with ranks.agreed():
            record = None if place.fresh else folder.record()
            if record is not None:
                refuse_other_contents(record, dataset, place, path)
        record = ranks.from_first(record)
        if record is not None and record["status"] in DONE:
            report.note("This run is done already; --fresh starts it over.")
            tracked = mirrored_to(path)
        else:
            session = Session(run, resolved, place, folder, dataset, report)
            if place.fresh:  # not before the new run is known to be possible
                folder.clear()
            mirror = Mirror(path, place.tracking if ranks.first else "off")
            try:
                record = session.go()
            except Interrupted as error:
                mirror.finish(timeout_s=5)
                report.note(f"Stopped by {error}; everything is saved. The same command goes on.")
                return error.exit_code
            tracked = mirror.finish(timeout_s=30)
        if ranks.first:
            print(summary(record, str(path / RECORD), tracked))
        return 0 if record["status"] == "finished" else 1


def loaded(run: Run, place: Place) -> Dataset[Any]:
    """The dataset. The first process fills the cache, and the others find it there."""
    ranks = place.ranks
    for turn in (True, False):
        with ranks.agreed():
            if ranks.first is turn:
                dataset = run.pipeline.load(run.dataset, place.data_root, place.cache)
    ranks.refuse_unlike(dataset.sha256, "the images they have")
    return dataset


def refuse_other_contents(
    record: dict[str, Any], dataset: Dataset[Any], place: Place, path: Path
) -> None:
    """Raise UserError if the record is of other images, or of other plugins, than there are now."""
    provenance = record["provenance"]
    if provenance["dataset_sha256"] != dataset.sha256:
        raise UserError(
            f"{path} holds results on other images than {dataset.name} has now. Give your data "
            "another name, or start over with --fresh."
        )
    history.refuse_changed_plugins(
        provenance.get("plugins", {}), history.hashes(place.plugins), path
    )


def run_name(run: Run, resolved: Resolved) -> str:
    """Folder name of a run."""
    method, model = run.method, run.model.__name__
    return naming.run_name(
        method.name, run.dataset, model, method.sparsity, run.seed, resolved.sha256
    )
