"""The State that a session of a run begins with: from the newest sound checkpoint, or new."""

from pathlib import Path

from torch import nn

from dstbench.core.masks import Masks
from dstbench.core.prunable import unpruned
from dstbench.core.state import State
from dstbench.data.batch_plan import BatchPlan
from dstbench.data.images import Shape
from dstbench.data.loaders import LabelledBatches
from dstbench.recording.types import Record
from dstbench.training import checkpoint, initial_weights
from dstbench.training.build import beginning, choose_first_masks
from dstbench.training.device import limit_threads
from dstbench.training.distributed.data_parallel import broadcast_state_
from dstbench.training.preflight import refuse_small_batches, refuse_unpruned
from dstbench.training.progress import Reporter
from dstbench.training.run_record import Start
from dstbench.training.runtime_options import RuntimeOptions
from dstbench.training.session import Session
from dstbench.training.settings import Run


def start_or_resume(
    run: Run,
    num_classes: int,
    image_shape: Shape,
    plan: BatchPlan,
    init_batches: LabelledBatches,
    options: RuntimeOptions,
    folder: Path,
    started: float,
    earlier: Record | None,
    reporter: Reporter,
) -> tuple[State, Session, Start]:
    """Return a run's State, the same in every process, its session, and its Start.

    image_shape: (channels, height, width) of the network's input.
    plan: the batches of an epoch.
    init_batches: training batches for the choice of the first masks.
    folder: of the run; its checkpoints are ignored with `options.fresh`.
    started: when the session started, unix time, s.
    earlier: the run's record so far, if it has one.

    Raises UserError for a network that does not fit its data, or a checkpoint of another network.
    """
    group = options.group
    total_steps = run.epochs * plan.steps_per_epoch
    state = beginning(run, num_classes, image_shape, total_steps, options.device)
    if options.threads is None and options.device.type == "cpu":
        limit_threads((state.dense_macs or 0) * run.batch_size)
    dense = unpruned(state.model)
    if message := refuse_unpruned(dense, run.unpruned_fraction):
        reporter.note(message)
    initial = initial_weights.sha256_of(state.model)
    refuse_small_batches(state, plan, options, run.precision, run.microbatches)
    if options.sync_batch_norm:
        state.model = nn.SyncBatchNorm.convert_sync_batchnorm(state.model)
        state.masks = Masks(state.model)
    reads_checkpoint = group.first and not options.fresh
    saved, damaged = checkpoint.load(folder) if reads_checkpoint else (None, [])
    saved = group.from_first(saved)
    for message in damaged:
        reporter.note(message)
    if saved is None:
        session = Session(resumed=False, started=started, seconds_before=0.0, steps_before={})
        if damaged:
            reporter.note("No sound checkpoint is left: starting over.")
        state.batches = init_batches
        choose_first_masks(run, state)
        state.batches = None
        state.optimizer = run.optimizer.build(state.model, state.masks)
    else:
        steps = saved.get("engine_steps", {"torch": saved["state"]["step"]})  # else an older one
        same_kind = saved.get("device") == options.device.type
        engine = saved.get("engine") if same_kind else None
        session = Session(True, started, saved["seconds"], steps, engine)
        with group.raise_together():
            if group.first and earlier is not None:
                changed = initial_weights.refuse_changed(earlier, initial, folder)
                if changed is not None:
                    reporter.note(changed)
        checkpoint.restore_(state, saved["state"], run, folder)
        reporter.note(f"Resuming at step {state.step} of {state.total_steps}.")
    broadcast_state_(state, group, run.seed)
    return state, session, Start(state.sparsity, dense, initial)
