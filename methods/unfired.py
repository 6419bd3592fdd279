"""Unfired: prune the smallest magnitudes, regrow at random what was never live.

Liu et al. 2021, "Do we actually need dense over-parameterization? In-time over-parameterization in
sparse training": the growth `random_unfired` of its published code. The paper's own SET-ITOP and
RigL-ITOP are SET and RigL with longer update intervals.
"""

from torch import Tensor

from dstbench.config.registry import register
from dstbench.core.drop_grow import DropGrow
from dstbench.core.state import State


@register("parts")
class Unfired(DropGrow):
    """Drops the smallest magnitudes, and grows at random weights that were never live.

    When a layer has too few of them, all of these grow, and the rest at random among other dead
    weights. So every weight is live once before one is live a second time.
    """

    grows_by_gradient = False

    def grow_score(self, state: State, name: str) -> Tensor:
        return (~state.memory[f"ever_live/{name}"]).float()
