"""Hooks that answer a question return what `Part` says they do."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dstbench.core.part import Part
from dstbench.core.schedules import Cosine
from dstbench.core.state import State

_AT = (0.0, 0.5, 1.0)  # progress at which a learning-rate schedule is asked


def wrong_returns(part: Part, state: State) -> Iterator[str]:
    """Yield a message for each hook of a part, without those inside it, that returns another kind.

    A hook that forgets its `return` answers None, which is false, zero or empty elsewhere.

    state: before the first step.
    """
    steps = (1, state.total_steps)
    for hook, arguments, is_right, expected in (
        ("needs_dense_gradients", steps, _is_bool, "True or False"),
        ("requires_dense_gradients", steps, _is_bool, "True or False"),
        ("extra_training_macs", (state,), _is_count, "a whole number, zero or more"),
        ("notes", (state,), _are_texts, "a list of texts"),
        ("lr_schedule", (Cosine(0.1),), _is_schedule, "a function of progress to a rate"),
        ("final_structure_step", steps[1:], _is_count, "a whole number, zero or more"),
    ):
        returned = getattr(part, hook)(*arguments)
        if not is_right(returned):
            yield f"{type(part).__name__}.{hook} returns {returned!r}, not {expected}"


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_texts(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(text, str) for text in value)
    )


def _is_schedule(value: Any) -> bool:
    if not isinstance(value, Callable):  # type: ignore[arg-type]
        return False
    rates = [value(progress) for progress in _AT]
    return all(isinstance(rate, float | int) and math.isfinite(rate) for rate in rates)
