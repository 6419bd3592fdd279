"""SET: prune the smallest magnitudes, regrow at random.

Mocanu et al. 2018, "Scalable training of artificial neural networks with adaptive sparse
connectivity inspired by network science", Algorithm 1.
"""

from dstbench.config.registry import register
from dstbench.core.drop_grow import DropGrow
from dstbench.core.state import State


@register("parts")
class SET(DropGrow):
    """Drops the smallest magnitudes and grows dead weights at random, all equally likely.

    Drops by magnitude with exact counts per layer, as in ITOP. The paper drops the smallest
    positive and the largest negative weights.
    """

    grows_by_gradient = False

    def grow_score(self, state: State, name: str) -> None:
        return None
