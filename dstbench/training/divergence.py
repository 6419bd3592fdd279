"""Divergence: a loss that is NaN or infinite ends the run."""

from dstbench.core.state import State
from dstbench.training.epoch_meters import Meters


class Diverged(Exception):
    """The loss became NaN or infinite."""


def refuse_divergence(state: State) -> None:
    """Raise Diverged if any loss since the run began was not finite. Waits for the device."""
    if Meters(state.memory).any_loss_not_finite():
        raise Diverged(f"the loss is NaN or infinite at step {state.step}")
