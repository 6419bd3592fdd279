"""The promises that every method keeps, one check each. No check depends on a method's name."""

import io
from collections.abc import Callable

import torch

from dstbench.conformance.hook_names import misspelled
from dstbench.conformance.hook_types import wrong_returns
from dstbench.conformance.memory_layout import layout_mismatches
from dstbench.conformance.observed_run import ObservedRun, observe
from dstbench.conformance.repeated_run import repeat
from dstbench.conformance.snapshot import differences, snapshot
from dstbench.conformance.trial import Trial, advance, no_op, parts_of


class ConformanceError(Exception):
    """A method breaks a promise; the message says which tensor, where and how."""


def check_budget(trial: Trial, optimizer: str) -> None:
    """The number of live weights is exactly the one asked for, at the start and at the end.

    From the step on that the method declares final, it is at most that. A network without masks
    may be smaller than asked: the sizes of dense networks are coarse. A dense-to-sparse method is
    held to the number at the end only.
    """
    seen = observe(trial, optimizer)
    if not seen.dense_to_sparse:
        _require_total(seen, seen.live[0], "starts")
    for step, live in enumerate(seen.live[1:-1], start=1):
        if step >= seen.final_step and live > seen.asked:
            raise ConformanceError(
                f"has {live} live at step {step}, asked {seen.asked}, and declares its structure "
                f"final from step {seen.final_step} on (final_structure_step)"
            )
    _require_total(seen, seen.live[-1], "ends")


def _require_total(seen: ObservedRun, live: int, when: str) -> None:
    if live > seen.asked or (live < seen.asked and seen.masked):
        raise ConformanceError(f"{when} with {live} live, asked {seen.asked}")


def check_dead_weights(trial: Trial, optimizer: str) -> None:
    """Dead weights and their optimizer state are exactly zero after each step."""
    if found := observe(trial, optimizer).dead:
        raise ConformanceError(found)


def check_scores(trial: Trial, optimizer: str) -> None:
    """A growth score is a number, zero or more, for every weight of its tensor."""
    if wrong := repeat(trial, optimizer).wrong_score:
        raise ConformanceError(wrong)


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
    seen = observe(trial, optimizer)
    payload = torch.load(io.BytesIO(seen.middle), weights_only=True)
    run, batches, state = trial.resume(payload, optimizer)
    advance(run, batches, state, state.total_steps, no_op)
    _require_same(seen.end, snapshot(state.state_dict()))


def check_deterministic(trial: Trial, optimizer: str) -> None:
    """Two runs with the same seed end with identical checkpoints."""
    _require_same(observe(trial, optimizer).end, repeat(trial, optimizer).end)


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
    if found := differences(*observe(trial, optimizer).settings):
        raise ConformanceError(
            f"{found[0]} changed during the run. What changes during a run is kept in the State."
        )


def check_returns(trial: Trial, optimizer: str) -> None:
    """The hooks that answer a question return the kind of value that Part documents."""
    run, _, state = trial.start(optimizer)
    for part in parts_of(run.method):
        for message in wrong_returns(part, state):
            raise ConformanceError(message)


def check_names(trial: Trial, optimizer: str) -> None:
    """No method of a part has nearly the name of a hook."""
    for part in parts_of(trial.run(optimizer).method):
        for message in misspelled(part):
            raise ConformanceError(message)


CHECKS: dict[str, Callable[[Trial, str], None]] = {
    "the budget is exact": check_budget,
    "dead weights are zero": check_dead_weights,
    "growth scores are numbers, zero or more": check_scores,
    "masks move identically in every memory layout": check_layout,
    "resuming is exact": check_resume,
    "the same seed gives the same run": check_deterministic,
    "parts hold settings only": check_settings,
    "hooks return what they should": check_returns,
    "hooks have their names": check_names,
}

MODEL_CHECKS: dict[str, Callable[[Trial, str], None]] = {
    "the same seed gives the same two steps": check_two_steps,
    "resuming is exact": check_resume,
}
