"""Trial: a method on a small network and generated images, in fp32 on the CPU."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from dstbench.config.choices import Choices
from dstbench.config.shipped_files import shipped
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.core.update_schedule import UpdateSchedule
from dstbench.data.batch_plan import init_batches
from dstbench.data.images import Images
from dstbench.data.in_memory import InMemoryBatches
from dstbench.data.preprocessing import Fitted
from dstbench.errors import UserError
from dstbench.models.memory_layout import to_layout
from dstbench.models.precision import autocast_for
from dstbench.training.build import new_state
from dstbench.training.configure import assemble
from dstbench.training.engines.torch_engine import TorchEngine
from dstbench.training.loop import train
from dstbench.training.settings import Run

EPOCHS, BATCH, IMAGES, CLASSES, SIZE = 6, 16, 64, 4, 8
INTERVAL = 3  # optimizer steps between mask updates: some in each half of the run, and in a cycle
OPTIMIZERS = {
    "SGD": "Run.optimizer = @SGD()",
    "Adam": "Run.optimizer = @Adam()",
    "AdamW": "Run.optimizer = @TorchOptimizer()\nTorchOptimizer.name = 'AdamW'\n"
    "TorchOptimizer.lr = 0.001",
}


class Trial:
    """A method on a small network, built anew for each call.

    file: the method's gin file.
    plugins: Python files that it needs.
    model: name of the network; None for a narrow ResNet-20.
    size: height and width of the images, pixels.
    """

    def __init__(
        self,
        file: str,
        plugins: tuple[Path, ...] = (),
        model: str | None = None,
        size: int = SIZE,
    ):
        self.file, self.plugins, self.size = file, plugins, size
        self.axes = () if model is None else (("model", model),)

    def run(self, optimizer: str = "SGD") -> Run:
        """Return the run, with update intervals that let masks move in its few steps, at some.

        optimizer: a key of OPTIMIZERS.
        """
        return self._run(optimizer, self._intervals)

    @cached_property
    def _intervals(self) -> tuple[str, ...]:
        return interval_bindings(self._run("SGD", ()).method, INTERVAL)

    def _run(self, optimizer: str, intervals: tuple[str, ...]) -> Run:
        sets = (
            OPTIMIZERS[optimizer],
            f"Run.epochs = {EPOCHS}",
            f"Run.batch_size = {BATCH}",
            *intervals,
        )
        recipe = str(shipped("gin")["conformance"])  # sets %sparsity
        return assemble(Choices((self.file,), recipe, self.axes, sets, self.plugins), "fp32")[0]

    def start(self, optimizer: str = "SGD") -> tuple[Run, InMemoryBatches, State]:
        """Return a run, its batches and its State before the first step."""
        run = self.run(optimizer)
        return run, *initial_state(run, size=self.size)

    def resume(self, saved: dict, optimizer: str = "SGD") -> tuple[Run, InMemoryBatches, State]:
        """Return a run, its batches and its State loaded from a checkpoint, all built anew."""
        run = self.run(optimizer)
        batches, state = state_without_masks(run, self.size)
        state.load_state_dict(saved, run.optimizer.build)
        return run, batches, state


def initial_state(
    run: Run, layout: torch.memory_format | None = None, size: int = SIZE
) -> tuple[InMemoryBatches, State]:
    """Return the run's batches and its State before the first step.

    layout: memory layout of the weights; None for that of training.
    size: height and width of the images, pixels.
    """
    batches, state = state_without_masks(run, size)
    if layout is not None:
        to_layout(state.model, layout)
    state.batches = init_batches(lambda seed: _batches(run, seed, size), run.seed)
    run.method.init_masks(state)
    state.batches = None
    state.optimizer = run.optimizer.build(state.model, state.masks)
    return batches, state


def state_without_masks(run: Run, size: int = SIZE) -> tuple[InMemoryBatches, State]:
    """Return the run's batches and its State before masks are initialised or loaded.

    size: height and width of the images, pixels.
    """
    batches = _batches(run, run.seed, size)
    total_steps = EPOCHS * batches.plan.steps_per_epoch
    run.method.check(total_steps)
    state = new_state(run, CLASSES, (3, size, size), total_steps, torch.device("cpu"))
    return batches, state


def _batches(run: Run, seed: int, size: int) -> InMemoryBatches:
    """Return batches of generated images.

    seed: of order and augmentation.
    size: height and width, pixels.
    """
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (IMAGES, size, size, 3), dtype=np.uint8)
    images = Images(pixels, np.arange(IMAGES, dtype=np.int64) % CLASSES)
    chosen = np.arange(IMAGES)
    pipeline = run.pipeline.fitted(images, chosen)
    if not isinstance(pipeline, Fitted):
        raise UserError(
            f"Run.pipeline = @{type(run.pipeline).__name__}(): it does not accept arrays, which "
            "the images here are. A recipe sets the pipeline; remove it from the method's file."
        )
    return InMemoryBatches(images, pipeline, BATCH, seed, torch.device("cpu"), chosen)


def parts_of(part: Part) -> Iterator[Part]:
    """Yield the part and all parts that it contains."""
    yield part
    for value in vars(part).values():
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, Part):
                yield from parts_of(inner)


def interval_bindings(method: Part, interval: int) -> tuple[str, ...]:
    """Return gin bindings of the update interval ΔT of every part that takes one.

    They replace numbers of updates per run, too, which may ask for an update at every step.

    interval: the new ΔT, in optimizer steps.
    """
    return tuple(
        f"{type(part).__name__}.update_interval = {interval}"
        for part in parts_of(method)
        if isinstance(getattr(part, "update_schedule", None), UpdateSchedule)
        and "update_interval" in inspect.signature(type(part)).parameters
    )


class _StopTraining(Exception):
    """Raised after a step to leave the training loop."""


def advance(
    run: Run, batches: InMemoryBatches, state: State, until: int, each: Callable[[State], None]
) -> None:
    """Train up to step `until` with the training loop, calling `each` after every step."""

    def after_step(state: State) -> None:
        each(state)
        if state.step >= until:
            raise _StopTraining

    engine = TorchEngine(state.model, autocast_for("fp32", torch.device("cpu")))
    with suppress(_StopTraining):
        train(state, run.method, engine, batches, run.rate_at, lambda state: None, after_step)


def no_op(state: State) -> None:
    """Do nothing after a step."""
