"""The promises that every method keeps, one check each. No check depends on a method's name."""

import io
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from dstbench.conformance.memory_layout import layout_mismatches
from dstbench.conformance.snapshot import differences, snapshot
from dstbench.conformance.trial import Trial, advance, initial_state, no_op, parts_of
from dstbench.core.drop_grow import DropGrow
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.sparsity import live_total


class ConformanceError(Exception):
    """A method breaks a promise; the message says which tensor, where and how."""


def check_budget(trial: Trial, optimizer: str) -> None:
    """The number of live weights is exactly the one asked for, at the start and at the end.

    From the step on that the method declares final, it is at most that. A network without masks
    may be smaller than asked: the sizes of dense networks are coarse. A dense-to-sparse method is
    held to the number at the end only.
    """
    run, batches, state = trial.start(optimizer)
    asked = live_total(run.method.sparsity, state.dense_numel)
    final = run.method.final_structure_step(state.total_steps)

    def look(state: State) -> None:
        if state.step >= final and (live := state.masks.total()) > asked:
            raise ConformanceError(
                f"has {live} live at step {state.step}, asked {asked}, and declares its structure "
                f"final from step {final} on (final_structure_step)"
            )

    if not run.method.dense_to_sparse:
        _require_total(state, asked, "starts")
    advance(run, batches, state, state.total_steps, look)
    run.method.finish(state)
    _require_total(state, asked, "ends")


def _require_total(state: State, asked: int, when: str) -> None:
    live = state.masks.total()
    if live > asked or (live < asked and state.masks):
        raise ConformanceError(f"{when} with {state.masks.total()} live, asked {asked}")


def check_dead_weights(trial: Trial, optimizer: str) -> None:
    """Dead weights and their optimizer state are exactly zero after each step."""
    run, batches, state = trial.start(optimizer)

    def look(state: State) -> None:
        for name, mask in state.masks.items():
            dead = state.masks.parameters[name][~mask]
            if dead.any():
                raise ConformanceError(f"{name} has {int((dead != 0).sum())} non-zero dead weights")
        inner = getattr(state.optimizer, "inner", None)
        if inner is not None:
            _require_dead_state_zero(inner, state)

    advance(run, batches, state, state.total_steps, look)


def _require_dead_state_zero(inner: torch.optim.Optimizer, state: State) -> None:
    for name, mask in state.masks.items():
        for key, value in inner.state[state.masks.parameters[name]].items():
            per_weight = isinstance(value, Tensor) and value.shape == mask.shape
            if per_weight and value[~mask].any():
                raise ConformanceError(f"{name}: {key} of dead weights is not zero")


def check_scores(trial: Trial, optimizer: str) -> None:
    """A growth score is a number, zero or more, for every weight of its tensor."""
    run, batches, state = trial.start(optimizer)
    for part in parts_of(run.method):
        if isinstance(part, DropGrow):
            part.grow_score = _checked(part.grow_score)  # type: ignore[method-assign]
    advance(run, batches, state, state.total_steps, no_op)


def _checked(grow_score: Callable[[State, str], Tensor | None]) -> Any:
    """Wrap a growth score so that its shape and values are checked."""

    @wraps(grow_score)
    def checked(state: State, name: str) -> Tensor | None:
        score = grow_score(state, name)
        if score is not None:
            size = state.masks.parameters[name].numel()
            shape = tuple(score.shape)
            if shape != (size,):
                raise ConformanceError(f"the score of {name} has shape {shape}, not ({size},)")
            if wrong := int((~(score >= 0)).sum()):
                raise ConformanceError(f"the score of {name} is negative or NaN at {wrong} weights")
        return score

    return checked


def check_layout(trial: Trial, optimizer: str) -> None:
    """Masks move identically in every memory layout of the weights."""
    if trial.run(optimizer).method.moves_masks:
        for name in layout_mismatches(trial, optimizer):
            raise ConformanceError(
                f"{name}: other weights grow when the tensor has another memory layout. Scores and "
                "indices are in storage order, as dstbench.gradient_of and dstbench.flat return "
                "them."
            )


def check_resume(trial: Trial, optimizer: str) -> None:
    """A run resumed from a checkpoint in mid-epoch ends bit for bit like an uninterrupted one."""
    run, batches, state = trial.start(optimizer)
    saved: list[bytes] = []

    def save_midway(state: State) -> None:
        if state.step == state.total_steps // 2 + 1:
            buffer = io.BytesIO()
            torch.save(state.state_dict(), buffer)
            saved.append(buffer.getvalue())

    advance(run, batches, state, state.total_steps, save_midway)
    whole = snapshot(state.state_dict())
    payload = torch.load(io.BytesIO(saved[0]), weights_only=True)
    run2, batches2, state2 = trial.resume(payload, optimizer)
    advance(run2, batches2, state2, state2.total_steps, no_op)
    _require_same(whole, snapshot(state2.state_dict()))


def check_deterministic(trial: Trial, optimizer: str) -> None:
    """Two runs with the same seed end with identical checkpoints."""
    states = []
    for _ in range(2):
        run, batches, state = trial.start(optimizer)
        advance(run, batches, state, state.total_steps, no_op)
        states.append(snapshot(state.state_dict()))
    _require_same(*states)


def check_two_steps(trial: Trial, optimizer: str) -> None:
    """Two steps of two runs with the same seed end with identical checkpoints.

    A network must draw from the generators that a run seeds and saves: torch's, numpy's global one
    and Python's `random`.
    """
    states = []
    for _ in range(2):
        run, batches, state = trial.start(optimizer)
        advance(run, batches, state, 2, no_op)
        states.append(snapshot(state.state_dict()))
    if found := differences(*states):
        raise ConformanceError(
            f"{found[0]} differs, and {len(found) - 1} others. Draw random numbers from torch, "
            "numpy.random or random without another seed, and keep nothing outside the model."
        )


def _require_same(one: dict[str, str], other: dict[str, str]) -> None:
    if found := differences(one, other):
        raise ConformanceError(f"{found[0]} differs, and {len(found) - 1} others")


def check_settings(trial: Trial, optimizer: str) -> None:
    """Parts hold settings only: a run does not change them, nor anything inside them."""
    run = trial.run(optimizer)
    before = _settings(run.method)
    batches, state = initial_state(run)
    advance(run, batches, state, state.total_steps, no_op)
    run.method.finish(state)
    if found := differences(before, _settings(run.method)):
        raise ConformanceError(
            f"{found[0]} changed during the run. What changes during a run is kept in the State."
        )


def _settings(method: Part) -> dict[str, str]:
    """Return a snapshot of the method, its parts and everything inside, and of their classes."""
    found = snapshot(method, type(method).__name__)
    for part in parts_of(method):
        for cls in type(part).__mro__:
            if issubclass(cls, Part) and cls is not Part:
                for name, value in vars(cls).items():
                    if _is_data(name, value):
                        found |= snapshot(value, f"class {cls.__name__}.{name}")
    return found


def _is_data(name: str, value: object) -> bool:
    return not (name.startswith(("__", "_abc")) or callable(value) or hasattr(value, "__get__"))


CHECKS: dict[str, Callable[[Trial, str], None]] = {
    "the budget is exact": check_budget,
    "dead weights are zero": check_dead_weights,
    "growth scores are numbers, zero or more": check_scores,
    "masks move identically in every memory layout": check_layout,
    "resuming is exact": check_resume,
    "the same seed gives the same run": check_deterministic,
    "parts hold settings only": check_settings,
}

MODEL_CHECKS: dict[str, Callable[[Trial, str], None]] = {
    "the same seed gives the same two steps": check_two_steps,
    "resuming is exact": check_resume,
}
