"""EAST: weight sharing, DyReLU phasing and cyclic sparsity on a drop-and-grow method.

Li et al. 2024, "Pushing the Limits of Sparsity: A Bag of Tricks for Extreme Pruning", Algorithm 1.
"""

from dstbench.config.registry import register
from dstbench.core.budget import Budget
from dstbench.core.gradient_clip import GradientClip
from dstbench.core.method import Method
from dstbench.methods.cyclic import Cyclic
from dstbench.methods.dyrelu import DyReLUPhasing
from dstbench.methods.weight_sharing import WeightSharing


@register("parts")
class EAST(Method):
    """The paper's full method. Ablations are other lists of the same parts, each a Method.

    sharing: weight sharing between the blocks of a stage.
    activation: DyReLU phasing.
    budget: first masks, and live weights of each layer while cycling.
    topology: the cycles, and the drop-and-grow method that follows them.
    clip: gradient clipping, or None.
    name: name of the method in records and tables.
    """

    def __init__(
        self,
        sharing: WeightSharing,
        activation: DyReLUPhasing,
        budget: Budget,
        topology: Cyclic,
        clip: GradientClip | None = None,
        name: str = "EAST",
    ):
        parts = [sharing, activation, budget, topology]
        super().__init__(name, [*parts, clip] if clip else parts)
