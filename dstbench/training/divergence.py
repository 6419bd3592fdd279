"""Divergence: a loss that is NaN or infinite ends the run."""

from dstbench.core.state import State


class Diverged(Exception):
    """The loss became NaN or infinite."""


def refuse_divergence(state: State) -> None:
    """Raise Diverged if any loss since the start was not finite. Reads one number back."""
    if "train/not_finite" in state.memory and float(state.memory["train/not_finite"]) > 0:
        raise Diverged(f"the loss is NaN or infinite at step {state.step}")
