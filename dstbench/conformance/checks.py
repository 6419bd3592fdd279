"""The promises that every method keeps, one check each. Nothing here knows a method by name.

A check asserts; what it asserts with is what a user reads.
"""

import io
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from dstbench.conformance.memory_layout import strangers
from dstbench.conformance.snapshot import differences, leaves
from dstbench.conformance.trial import Trial, advance, begun, nothing, parts_of
from dstbench.core.drop_grow import DropGrow
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.sparsity import live_total


def check_budget(trial: Trial, optimizer: str) -> None:
    """The live weights are exactly as many as asked for, at the start and at the end."""
    run, batches, state = trial.start(optimizer)
    asked = live_total(run.method.sparsity, state.dense_numel)
    assert state.masks.total() == asked, f"starts with {state.masks.total()} live, asked {asked}"
    advance(run, batches, state, state.total_steps, nothing)
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


def check_scores(trial: Trial, optimizer: str) -> None:
    """A growth score is a number, zero or more, for every position of its tensor."""
    run, batches, state = trial.start(optimizer)
    for part in parts_of(run.method):
        if isinstance(part, DropGrow):
            part.grow_score = _checked(part.grow_score)  # type: ignore[method-assign]
    advance(run, batches, state, state.total_steps, nothing)


def _checked(grow_score: Callable[[State, str], Tensor | None]) -> Any:
    """The same function; what it returns is looked at first."""

    @wraps(grow_score)
    def checked(state: State, name: str) -> Tensor | None:
        score = grow_score(state, name)
        if score is not None:
            size = state.masks.parameters[name].numel()
            shape = tuple(score.shape)
            assert shape == (size,), f"the score of {name} has shape {shape}, not ({size},)"
            wrong = int((~(score >= 0)).sum())
            assert not wrong, f"the score of {name} is negative or NaN at {wrong} positions"
        return score

    return checked


def check_layout(trial: Trial, optimizer: str) -> None:
    """Masks move alike however a tensor lies in memory: scores and positions count along it."""
    if trial.run(optimizer).method.moves_masks:
        found = next(strangers(trial, optimizer), None)
        assert found is None, (
            f"{found}: other weights grow when the tensor lies otherwise in memory. Scores and "
            "positions count along the memory, as gradient_of and flat of dstbench.core.masks do."
        )


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
    whole = leaves(state.state_dict())
    payload = torch.load(io.BytesIO(saved[0]), weights_only=True)
    run2, batches2, state2 = trial.resume(payload, optimizer)
    advance(run2, batches2, state2, state2.total_steps, nothing)
    _assert_same(whole, leaves(state2.state_dict()))


def check_deterministic(trial: Trial, optimizer: str) -> None:
    """The same seed gives the same masks, weights and everything else that a run keeps."""
    states = []
    for _ in range(2):
        run, batches, state = trial.start(optimizer)
        advance(run, batches, state, state.total_steps, nothing)
        states.append(leaves(state.state_dict()))
    _assert_same(*states)


def _assert_same(one: dict[str, str], other: dict[str, str]) -> None:
    found = differences(one, other)
    assert not found, f"{found[0]} differs, and {len(found) - 1} others"


def check_settings(trial: Trial, optimizer: str) -> None:
    """Parts hold settings only: a run leaves them, and all within them, as they were."""
    run = trial.run(optimizer)
    before = _settings(run.method)
    batches, state = begun(run)
    advance(run, batches, state, state.total_steps, nothing)
    run.method.finish(state)
    found = differences(before, _settings(run.method))
    assert not found, f"{found[0]} is not as it was. What changes during a run goes to the State."


def _settings(method: Part) -> dict[str, str]:
    """Every attribute of the method, of its parts and what they hold, and of their classes."""
    found = leaves(method, type(method).__name__)
    for part in parts_of(method):
        for cls in type(part).__mro__:
            if issubclass(cls, Part) and cls is not Part:
                for name, value in vars(cls).items():
                    if _is_data(name, value):
                        found |= leaves(value, f"class {cls.__name__}.{name}")
    return found


def _is_data(name: str, value: object) -> bool:
    return not (name.startswith(("__", "_abc")) or callable(value) or hasattr(value, "__get__"))


CHECKS: dict[str, Callable[[Trial, str], None]] = {
    "the budget is exact": check_budget,
    "dead weights are zero": check_dead_weights,
    "growth scores are numbers, zero or more": check_scores,
    "masks move alike in every memory layout": check_layout,
    "resuming is exact": check_resume,
    "the same seed gives the same run": check_deterministic,
    "parts hold settings only": check_settings,
}
