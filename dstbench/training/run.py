"""One whole run: load the data, start or resume, train, write the record."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from dstbench.config.identity import Resolved
from dstbench.data import datasets
from dstbench.data.images import Dataset
from dstbench.data.loaders import DataLoaders
from dstbench.data.protocols import PROTOCOLS
from dstbench.errors import UserError
from dstbench.recording import session_history
from dstbench.recording.record import OVER
from dstbench.recording.run_folder import RunFolder
from dstbench.recording.run_name import run_name as name_of
from dstbench.recording.types import Record
from dstbench.sparsity import percent
from dstbench.tracking.live_mirror import Mirror, mirrored_to
from dstbench.training import checkpoint, initial_weights
from dstbench.training.build import beginning
from dstbench.training.device import device_name
from dstbench.training.distributed.nonzero_ranks import NullRunFolder
from dstbench.training.engines.choose import choose_engine
from dstbench.training.kept_networks import missed_networks
from dstbench.training.outcome import Outcome
from dstbench.training.progress import Reporter
from dstbench.training.resume import start_or_resume
from dstbench.training.run_record import RunRecord
from dstbench.training.runtime_options import RuntimeOptions
from dstbench.training.settings import Run
from dstbench.training.trainer import Trainer
from dstbench.utils.signals import Interrupted


def carry_out(run: Run, resolved: Resolved, options: RuntimeOptions, reporter: Reporter) -> Outcome:
    """Start or resume a run, or find that it is over; return what came of it.

    Raises UserError for data, a network or a folder that cannot be used.
    """
    if options.device.type == "cuda":
        torch.backends.cudnn.deterministic = True  # the same seed must give the same run
    group, path = options.group, options.runs / run_name(run, resolved)
    folder = RunFolder(path) if group.first else NullRunFolder(path)
    with ExitStack() as lock:
        with group.raise_together():
            lock.enter_context(folder.locked())
        dataset = load_dataset(run, options)
        for note in dataset.notes:
            reporter.note(f"{dataset.name}: {note}")
        record = earlier_record(folder, resolved, dataset, options)
        loaders = data_loaders(run, dataset, options)
        if record is not None and record["status"] in OVER:
            check_done(run, record, loaders, options, path, reporter)
            reporter.note("This run is done already; --fresh starts it over.")
            if record["status"] == "finished":  # a diverged run has not reached all epochs
                for note in missed_networks(run, path, run.epochs):
                    reporter.note(note)
            tracked = mirrored_to(path)
        else:
            trainer = prepare(run, resolved, loaders, record, folder, options, reporter)
            mirror = Mirror(path, options.tracking if group.first else "off")
            try:
                record = trainer.fit()
            except Interrupted as error:
                mirror.finish(timeout_s=5)
                reporter.note(
                    f"Stopped by {error}; everything is saved. Run the same command again to "
                    "resume."
                )
                return Outcome(path, trainer.record.content, "", error.exit_code)
            except BaseException:
                mirror.finish(timeout_s=5)  # in a notebook, this process goes on
                raise
            tracked = mirror.finish(timeout_s=30)
        return Outcome(path, record, tracked, 0 if record["status"] == "finished" else 1)


def load_dataset(run: Run, options: RuntimeOptions) -> Dataset[Any]:
    """Return the dataset. The first process fills the cache before the others read it."""
    group = options.group
    for first in (True, False):
        with group.raise_together():
            if group.first is first:
                dataset = datasets.load_images(
                    run.dataset, run.pipeline, options.data_root, options.cache
                )
    group.check_equal(dataset.sha256, "the images they have")
    return dataset


def earlier_record(
    folder: RunFolder, resolved: Resolved, dataset: Dataset[Any], options: RuntimeOptions
) -> Record | None:
    """Return the run's record so far, in every process; None for a new run or a fresh start.

    Raises UserError if the record is of other images, or of other plugins, than the present ones.
    """
    record = None
    with options.group.raise_together():
        if not options.fresh and (record := _resumable(folder)) is not None:
            provenance = record["provenance"]
            if provenance["dataset_sha256"] != dataset.sha256:
                raise UserError(
                    f"{folder.path} holds results on other images than {dataset.name} has now. "
                    "Give your data another name, or start over with --fresh."
                )
            session_history.refuse_changed_plugins(
                provenance.get("plugins", {}),
                session_history.plugin_hashes(options.plugins, resolved.text),
                folder.path,
            )
    return options.group.from_first(record)


def _resumable(folder: RunFolder) -> Record | None:
    """Return the run's record; None where it ended before it saved anything to go on from."""
    record = folder.record()
    over = record is not None and record["status"] in OVER
    return record if over or folder.has_checkpoint else None


def data_loaders(run: Run, dataset: Dataset[Any], options: RuntimeOptions) -> DataLoaders:
    """Return the run's images, split and batched. Raises UserError for settings that do not fit."""
    return DataLoaders(
        dataset,
        run.pipeline,
        PROTOCOLS[run.protocol],
        batch_size=run.batch_size,
        seed=run.seed,
        split_seed=run.split_seed,
        train_images=run.train_images,
        device=options.device,
        shard=options.group.shard,
    )


def check_done(
    run: Run,
    record: Record,
    loaders: DataLoaders,
    options: RuntimeOptions,
    folder: Path,
    reporter: Reporter,
) -> None:
    """Raise UserError when a run that is over began with other initial weights than it would now.

    record: of the run that is over.
    """
    total_steps = run.epochs * loaders.training.plan.steps_per_epoch
    classes = len(loaders.dataset.classes)
    with options.group.raise_together():
        if options.group.first:
            state = beginning(run, classes, loaders.image_shape, total_steps, options.device)
            initial = initial_weights.sha256_of(state.model)
            if message := initial_weights.refuse_changed(record, initial, folder):
                reporter.note(message)


def prepare(
    run: Run,
    resolved: Resolved,
    loaders: DataLoaders,
    record: Record | None,
    folder: RunFolder,
    options: RuntimeOptions,
    reporter: Reporter,
) -> Trainer:
    """Return the trainer of a run that is new or resumed, once everything in it is known to fit.

    record: of the run so far; None for a new run.
    """
    started = time.time()
    dataset = loaders.dataset
    plan = loaders.training.plan
    run.method.check(run.epochs * plan.steps_per_epoch)
    state, session, start = start_or_resume(
        run,
        len(dataset.classes),
        loaders.image_shape,
        plan,
        loaders.init_batches(),
        options,
        folder.path,
        started,
        record,
        reporter,
    )
    reporter.describe(_description(run, loaders, options, folder.path))
    engine = choose_engine(run, state, options, session.engine_before, reporter.describe)
    notes = [*run.method.notes(state), *(run.start.notes(state) if run.start else ())]
    if state.step > 0:
        notes += missed_networks(run, folder.path, state.step // plan.steps_per_epoch)
    for note in notes:
        reporter.note(note)
    if options.fresh:
        if options.group.first:
            checkpoint.remove(folder.path)
        folder.clear()
    description = RunRecord(
        run, resolved, dataset, options, session, start, folder, reporter, engine.name
    )
    return Trainer(run, state, loaders, description, folder, options, reporter, engine)


def _description(run: Run, loaders: DataLoaders, options: RuntimeOptions, folder: Path) -> str:
    """Return what a run will do, in one paragraph."""
    split, threads = loaders.split, torch.get_num_threads()
    where = device_name(options.device)
    if where == "cpu":
        where += f", {threads} thread{'s'[: threads > 1]}"
    if not options.group.alone:
        where += f", {options.group.size} processes"
    begins = "" if run.start is None else f"\nbegins with {run.start}"
    return (
        f"{run.method.name} · {run.model.__name__} · sparsity {percent(run.method.sparsity)} · "
        f"seed {run.seed} · {run.epochs} epochs of {len(split.train):,} images\n"
        f"{run.dataset}: {len(split.val):,} images for validation, "
        f"{len(loaders.dataset.test):,} for the test (protocol {run.protocol})\n"
        f"{where} · {run.precision} · {folder}{begins}"
    )


def run_name(run: Run, resolved: Resolved) -> str:
    """Return the name of a run's folder."""
    method, model = run.method, run.model.__name__
    return name_of(method.name, run.dataset, model, method.sparsity, run.seed, resolved.sha256)
