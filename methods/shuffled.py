"""Shuffled: random masks with another part's number of live weights in each layer.

The control of a method that chooses single weights, such as SynFlow: Su et al. 2020, "Sanity-
checking pruning methods: random tickets can win the jackpot", and Frankle et al. 2021, "Pruning
neural networks at initialization: why are we missing the mark?".
"""

import copy

from dstbench.config.registry import register
from dstbench.core.part import Part
from dstbench.core.selection import random_subset
from dstbench.core.state import State
from dstbench.errors import UserError


@register("parts")
class Shuffled(Part):
    """Chooses random first masks with the layer counts that another part would choose.

    Within a layer every set of weights is equally likely. Weights keep their initial values.

    of: the part that decides the counts; only its choice of first masks is used.

    Raises UserError: when that part chooses no masks.
    """

    def __init__(self, of: Part):
        if not of.initialises_masks:
            raise UserError(
                f"Shuffled.of = @{type(of).__name__}(): it chooses no first masks. Use a part that "
                "does, such as @SynFlow() or a budget.",
                "Shuffled.of",
            )
        self.of, self.sparsity = of, of.sparsity

    def check(self, total_steps: int) -> None:
        self.of.check(total_steps)

    def init_masks(self, state: State) -> None:
        # Choosing masks zeroes weights, which are kept here; the stream of batches has no copy.
        chosen = copy.deepcopy(state, {id(state.batches): state.batches})
        self.of.init_masks(chosen)
        state.rng.set_state(chosen.rng.get_state())
        for name in chosen.masks:
            weight = state.masks.parameters[name]
            index = random_subset(weight.numel(), chosen.masks.live(name), state.rng)
            state.set_live_(name, index.to(weight.device))
