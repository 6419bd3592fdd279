"""EAST: weight sharing, DyReLU phasing and cyclic sparsity on a drop-and-grow method. "Pushing the
Limits of Sparsity: A Bag of Tricks for Extreme Pruning", 2024, Algorithm 1."""

from dstbench.config.registry import register
from dstbench.core.budgets import Budget
from dstbench.core.gradient_clip import GradientClip
from dstbench.core.method import Method
from dstbench.methods.cyclic import Cyclic
from dstbench.methods.dyrelu import DyReLUPhasing
from dstbench.methods.weight_sharing import WeightSharing


@register("parts")
class EAST(Method):
    """The paper's full method: the list of its parts, in their order.

    sharing, activation: the tricks on the network. budget: first masks and the layers' counts while
    cycling. topology: the cycles and the method that follows them. clip: None for no clipping.
    An ablation is another list of the same parts, written as a Method.
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
