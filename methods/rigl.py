"""RigL: prune the smallest magnitudes, regrow the largest gradient magnitudes.

Evci et al. 2020, "Rigging the Lottery: Making All Tickets Winners", Algorithm 1.
"""

from torch import Tensor

from dstbench.config.registry import register
from dstbench.core.drop_grow import DropGrow
from dstbench.core.masks import gradient_of
from dstbench.core.state import State


@register("parts")
class RigL(DropGrow):
    """Drops the smallest magnitudes and grows the largest dense gradients of the last batch.

    The gradient is that of the optimizer step just taken, computed before it, as in ITOP. The step
    is taken as well; in the paper the mask update replaces it.
    """

    def grow_score(self, state: State, name: str) -> Tensor | None:
        gradient = gradient_of(state.masks.parameters[name])
        return None if gradient is None else gradient.abs()
