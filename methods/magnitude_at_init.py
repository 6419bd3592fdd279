"""MagnitudeAtInit: prune the smallest initial magnitudes, before training."""

from torch import Tensor

from dstbench.config.registry import register
from dstbench.core.state import State
from dstbench.methods.global_pruning import GlobalPruning, ScoredCopy


@register("parts")
class MagnitudeAtInit(GlobalPruning):
    """Chooses static masks: the weights of the largest initial |w| over all layers together.

    The baseline of pruning at initialisation in Tanaka et al. 2020 and in Frankle et al. 2021,
    "Pruning neural networks at initialization: why are we missing the mark?". No data is used.
    The initialisation decides how much of each layer is left: put KaimingNormal before it for the
    weights of the first of these papers.

    sparsity: fraction removed of the original network's prunable weights, in [0, 1).
    """

    def __init__(self, sparsity: float):
        super().__init__(sparsity)

    def scores(self, state: State, network: ScoredCopy) -> Tensor:
        return network.initial.abs()
