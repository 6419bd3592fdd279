"""RigL: grow where the dense gradient is largest. Evci et al. 2020, "Rigging the Lottery: Making
All Tickets Winners", algorithm 1."""

from torch import Tensor

from dstbench.config.registry import register
from dstbench.core.drop_grow import DropGrow
from dstbench.core.masks import gradient_of
from dstbench.core.state import State


@register("parts")
class RigL(DropGrow):
    """Drops the smallest magnitudes and grows the largest gradients of the last batch.

    The gradient is the one of the step just made, taken before it, as ITOP does; the optimizer
    step is made as well (the original replaces it by the update).
    """

    def grow_score(self, state: State, name: str) -> Tensor | None:
        gradient = gradient_of(state.masks.parameters[name])
        return None if gradient is None else gradient.abs()
