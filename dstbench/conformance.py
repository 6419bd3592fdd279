"""What every method must keep to, whatever it does: a suite to hold any gin file against.

Each check trains a small network on generated images for a few steps, in fp32 on the CPU, and
asserts one promise of the suite. Nothing here knows a method by name.
"""

import copy
import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dstbench.assemble import Choices, assemble
from dstbench.batches import Batches
from dstbench.budget import live_total
from dstbench.config.shipped import shipped
from dstbench.data import Images
from dstbench.errors import UserError
from dstbench.part import Part, State
from dstbench.run import Run
from dstbench.session import new_state
from dstbench.train import autocast_for, train

EPOCHS, BATCH, IMAGES, CLASSES, SIZE = 10, 16, 64, 4, 8
INTERVAL = 3  # optimizer steps, for methods that give theirs in steps
OPTIMIZERS = {
    "SGD": "Run.optimizer = @SGD()",
    "Adam": "Run.optimizer = @Adam()",
    "AdamW": "Run.optimizer = @TorchOptimizer()\nTorchOptimizer.name = 'AdamW'\n"
    "TorchOptimizer.lr = 0.001",
}


@dataclass(frozen=True)
class Result:
    """One check: its name, and what was wrong if it failed."""

    name: str
    passed: bool
    detail: str = ""


class Trial:
    """A method on a small network: built afresh each time, trained as far as asked."""

    def __init__(self, file: str, plugins: tuple[Path, ...] = ()):
        self.file, self.plugins = file, plugins

    def run(self, optimizer: str = "SGD") -> Run:
        """The run of a check, with intervals that let masks move within its few steps."""
        sets = tuple(
            f"{type(part).__name__}.update_interval = {INTERVAL}"
            for part in _parts(self._run(optimizer, ()).method)
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

    def start(self, optimizer: str = "SGD") -> tuple[Run, Batches, State]:
        """A run before its first step."""
        run, batches, state = self._built(optimizer)
        run.method.init_masks(state)
        state.optimizer = run.optimizer.build(state.model, state.masks)
        return run, batches, state

    def resume(self, saved: dict, optimizer: str = "SGD") -> tuple[Run, Batches, State]:
        """A run continued from a checkpoint in a process that knows nothing else of it."""
        run, batches, state = self._built(optimizer)
        state.load_state_dict(saved, run.optimizer)
        return run, batches, state

    def _built(self, optimizer: str) -> tuple[Run, Batches, State]:
        run = self.run(optimizer)
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (IMAGES, SIZE, SIZE, 3), dtype=np.uint8)
        images = Images(pixels, np.arange(IMAGES, dtype=np.int64) % CLASSES)
        chosen = np.arange(IMAGES)
        pipeline = run.pipeline.fitted(images, chosen)
        batches = Batches(images, pipeline, BATCH, run.seed, torch.device("cpu"), chosen)
        total_steps = EPOCHS * batches.steps_per_epoch
        run.method.check(total_steps)
        state = new_state(run, CLASSES, (3, SIZE, SIZE), total_steps, torch.device("cpu"))
        return run, batches, state


def _parts(part: Part) -> Iterator[Part]:
    """The part and all parts within it."""
    yield part
    for value in vars(part).values():
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, Part):
                yield from _parts(inner)


class _Enough(Exception):
    """Enough steps were made."""


def advance(
    run: Run, batches: Batches, state: State, until: int, each: Callable[[State], None]
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


def _nothing(state: State) -> None:
    return


# --- the checks -----------------------------------------------------------------------------------


def check_budget(trial: Trial, optimizer: str) -> None:
    """The live weights are exactly as many as asked for, at the start and at the end."""
    run, batches, state = trial.start(optimizer)
    asked = live_total(run.method.sparsity, state.dense_numel)
    assert state.masks.total() == asked, f"starts with {state.masks.total()} live, asked {asked}"
    advance(run, batches, state, state.total_steps, _nothing)
    run.method.finish(state)
    assert state.masks.total() == asked, f"ends with {state.masks.total()} live, asked {asked}"


def check_dead_weights(trial: Trial, optimizer: str) -> None:
    """Dead weights, and whatever the optimizer keeps for them, are exactly zero after each step."""
    run, batches, state = trial.start(optimizer)

    def look(state: State) -> None:
        for name, mask in state.masks.items():
            dead = state.masks.parameters[name][~mask]
            assert not dead.any(), f"{name} has {int((dead != 0).sum())} non-zero dead weights"
        inner = getattr(state.optimizer, "inner", None)
        if inner is not None:
            _assert_dead_state_zero(inner, state)

    advance(run, batches, state, state.total_steps, look)


def _assert_dead_state_zero(inner: torch.optim.Optimizer, state: State) -> None:
    for name, mask in state.masks.items():
        for key, value in inner.state[state.masks.parameters[name]].items():
            if isinstance(value, Tensor) and value.shape == mask.shape:
                assert not value[~mask].any(), f"{name}: {key} of dead weights is not zero"


def check_resume(trial: Trial, optimizer: str) -> None:
    """A run continued from a checkpoint, in mid-epoch, ends bit for bit like one never stopped."""
    run, batches, state = trial.start(optimizer)
    saved: list[bytes] = []

    def save_midway(state: State) -> None:
        if state.step == state.total_steps // 2 + 1:
            buffer = io.BytesIO()
            torch.save(state.state_dict(), buffer)
            saved.append(buffer.getvalue())

    advance(run, batches, state, state.total_steps, save_midway)
    payload = torch.load(io.BytesIO(saved[0]), weights_only=True)
    run2, batches2, state2 = trial.resume(payload, optimizer)
    advance(run2, batches2, state2, state2.total_steps, _nothing)
    _assert_same(state, state2)


def check_deterministic(trial: Trial, optimizer: str) -> None:
    """The same seed gives the same masks and weights."""
    states = []
    for _ in range(2):
        run, batches, state = trial.start(optimizer)
        advance(run, batches, state, state.total_steps, _nothing)
        states.append(state)
    _assert_same(*states)


def check_settings(trial: Trial, optimizer: str) -> None:
    """Parts hold settings only: a run leaves them as they were."""
    run, batches, state = trial.start(optimizer)
    before = copy.deepcopy({k: v for k, v in vars(run.method).items() if k != "parts"})
    parts = [_plain_settings(part) for part in run.method.parts]
    advance(run, batches, state, state.total_steps, _nothing)
    assert parts == [_plain_settings(part) for part in run.method.parts], "a part changed"
    assert before == {k: v for k, v in vars(run.method).items() if k != "parts"}, "it changed"


def _plain_settings(part: object) -> dict[str, object]:
    kept = (int, float, str, bool, tuple, list, dict, type(None))
    return {k: copy.deepcopy(v) for k, v in vars(part).items() if isinstance(v, kept)}


def _assert_same(one: State, other: State) -> None:
    tensors = dict(other.model.state_dict())
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, tensors[name]), f"{name} differs"
    assert dict(one.masks).keys() == dict(other.masks).keys(), "other tensors have masks"
    for name, mask in one.masks.items():
        assert torch.equal(mask, other.masks[name]), f"the mask of {name} differs"


CHECKS: dict[str, Callable[[Trial, str], None]] = {
    "the budget is exact": check_budget,
    "dead weights are zero": check_dead_weights,
    "resuming is exact": check_resume,
    "the same seed gives the same run": check_deterministic,
    "parts hold settings only": check_settings,
}


def run_checks(file: str, plugins: tuple[Path, ...] = ()) -> Iterator[Result]:
    """Every check under every optimizer, for the method of a gin file.

    Raises UserError when the gin file itself is wrong.
    """
    trial = Trial(file, plugins)
    trial.run()
    for name, check in CHECKS.items():
        for optimizer in OPTIMIZERS:
            label = f"{name} ({optimizer})"
            try:
                check(trial, optimizer)
                yield Result(label, True)
            except AssertionError as error:
                yield Result(label, False, str(error))
            except UserError as error:
                yield Result(label, False, error.message)
            except Exception as error:
                yield Result(label, False, f"{type(error).__name__}: {error}")
