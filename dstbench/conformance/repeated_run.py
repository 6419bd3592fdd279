"""The same run a second time, with its growth scores checked; one run serves two checks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any

from torch import Tensor

from dstbench.conformance.snapshot import snapshot
from dstbench.conformance.trial import OPTIMIZERS, Trial, advance, no_op, parts_of
from dstbench.core.drop_grow import DropGrow
from dstbench.core.state import State


@dataclass(frozen=True)
class RepeatedRun:
    """What checks need to know of the second run.

    wrong_score: the first growth score that breaks its promise; None if none does.
    end: snapshot of the checkpoint after the last step; empty if a wrong score ended the run.
    """

    wrong_score: str | None
    end: dict[str, str]


@lru_cache(maxsize=len(OPTIMIZERS))
def repeat(trial: Trial, optimizer: str) -> RepeatedRun:
    """Return what a second run of the method does; the same run again comes from a cache."""
    run, batches, state = trial.start(optimizer)
    wrong: list[str] = []
    for part in parts_of(run.method):
        if isinstance(part, DropGrow):
            part.grow_score = _checked(part.grow_score, wrong)  # type: ignore[method-assign]
    try:
        advance(run, batches, state, state.total_steps, no_op)
    except Exception:
        if not wrong:
            raise
        return RepeatedRun(wrong[0], {})
    return RepeatedRun(wrong[0] if wrong else None, snapshot(state.state_dict()))


def _checked(grow_score: Callable[[State, str], Tensor | None], wrong: list[str]) -> Any:
    """Wrap a growth score so that what is wrong with its shape and values is added to a list."""

    @wraps(grow_score)
    def checked(state: State, name: str) -> Tensor | None:
        score = grow_score(state, name)
        if score is not None:
            size = state.masks.parameters[name].numel()
            shape = tuple(score.shape)
            if shape != (size,):
                wrong.append(f"the score of {name} has shape {shape}, not ({size},)")
            elif count := int((~(score >= 0)).sum()):
                wrong.append(f"the score of {name} is negative or NaN at {count} weights")
        return score

    return checked
