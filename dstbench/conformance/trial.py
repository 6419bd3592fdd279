"""A method on a small network: built afresh each time, trained as far as a check asks.

The images are generated; all of it is fp32 on the CPU.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from dstbench.config.choices import Choices
from dstbench.config.shipped_files import shipped
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.data.images import Images
from dstbench.data.in_memory import InMemoryBatches
from dstbench.data.preprocessing import Fitted
from dstbench.errors import UserError
from dstbench.models.precision import autocast_for
from dstbench.training.build import new_state
from dstbench.training.configure import assemble
from dstbench.training.loop import train
from dstbench.training.settings import Run

EPOCHS, BATCH, IMAGES, CLASSES, SIZE = 10, 16, 64, 4, 8
INTERVAL = 3  # optimizer steps, for methods that give theirs in steps
OPTIMIZERS = {
    "SGD": "Run.optimizer = @SGD()",
    "Adam": "Run.optimizer = @Adam()",
    "AdamW": "Run.optimizer = @TorchOptimizer()\nTorchOptimizer.name = 'AdamW'\n"
    "TorchOptimizer.lr = 0.001",
}


class Trial:
    """A method on a small network: built afresh each time, trained as far as asked."""

    def __init__(self, file: str, plugins: tuple[Path, ...] = ()):
        self.file, self.plugins = file, plugins

    def run(self, optimizer: str = "SGD") -> Run:
        """The run of a check, with intervals that let masks move within its few steps."""
        sets = tuple(
            f"{type(part).__name__}.update_interval = {INTERVAL}"
            for part in parts_of(self._run(optimizer, ()).method)
            if getattr(part, "update_interval", None) is not None
        )
        return self._run(optimizer, sets)

    def _run(self, optimizer: str, intervals: tuple[str, ...]) -> Run:
        sets = (
            OPTIMIZERS[optimizer],
            f"Run.epochs = {EPOCHS}",
            f"Run.batch_size = {BATCH}",
            *intervals,
        )
        recipe = str(shipped("gin")["conformance"])  # sets the sparsity, for whoever uses it
        return assemble(Choices((self.file,), recipe, (), sets, self.plugins), "fp32")[0]

    def start(self, optimizer: str = "SGD") -> tuple[Run, InMemoryBatches, State]:
        """A run before its first step."""
        run = self.run(optimizer)
        return run, *begun(run)

    def resume(self, saved: dict, optimizer: str = "SGD") -> tuple[Run, InMemoryBatches, State]:
        """A run continued from a checkpoint in a process that knows nothing else of it."""
        run = self.run(optimizer)
        batches, state = _built(run)
        state.load_state_dict(saved, run.optimizer)
        return run, batches, state


def begun(
    run: Run, layout: torch.memory_format = torch.channels_last
) -> tuple[InMemoryBatches, State]:
    """The run's batches, and its State before the first step, with the weights in that layout."""
    batches, state = _built(run)
    state.model.to(memory_format=layout)  # type: ignore[call-overload]
    run.method.init_masks(state)
    state.optimizer = run.optimizer.build(state.model, state.masks)
    return batches, state


def _built(run: Run) -> tuple[InMemoryBatches, State]:
    """The same before any mask is chosen."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (IMAGES, SIZE, SIZE, 3), dtype=np.uint8)
    images = Images(pixels, np.arange(IMAGES, dtype=np.int64) % CLASSES)
    chosen = np.arange(IMAGES)
    pipeline = run.pipeline.fitted(images, chosen)
    if not isinstance(pipeline, Fitted):
        raise UserError(
            f"Run.pipeline = @{type(run.pipeline).__name__}(): the images here are arrays, which "
            "it does not take. A recipe sets the pipeline; leave it out of the method's file."
        )
    batches = InMemoryBatches(images, pipeline, BATCH, run.seed, torch.device("cpu"), chosen)
    total_steps = EPOCHS * batches.plan.steps_per_epoch
    run.method.check(total_steps)
    state = new_state(run, CLASSES, (3, SIZE, SIZE), total_steps, torch.device("cpu"))
    return batches, state


def parts_of(part: Part) -> Iterator[Part]:
    """The part and all parts within it."""
    yield part
    for value in vars(part).values():
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, Part):
                yield from parts_of(inner)


class _Enough(Exception):
    """Enough steps were made."""


def advance(
    run: Run, batches: InMemoryBatches, state: State, until: int, each: Callable[[State], None]
) -> None:
    """Train up to step `until` with the suite's own loop, calling `each` after every step."""

    def after_step(state: State) -> None:
        each(state)
        if state.step >= until:
            raise _Enough

    device = torch.device("cpu")
    autocast = autocast_for("fp32", device)
    with suppress(_Enough):
        train(state, run.method, batches, run.rate_at, autocast, lambda state: None, after_step)


def nothing(state: State) -> None:
    """For who need not look in between."""
