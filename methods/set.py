"""SET: grow where chance says. Mocanu et al. 2018, "Scalable training of artificial neural
networks with adaptive sparse connectivity inspired by network science"."""

from dstbench.config.registry import register
from dstbench.core.drop_grow import DropGrow
from dstbench.core.state import State


@register("parts")
class SET(DropGrow):
    """Drops the smallest magnitudes and grows free positions at random, all equally likely.

    Magnitudes regardless of sign and exact counts per layer, as ITOP drops; SET's own paper drops
    the smallest positive and the largest negative weights.
    """

    def grow_score(self, state: State, name: str) -> None:
        return None
