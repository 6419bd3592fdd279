"""FORCE and iterative SNIP: connection sensitivity in rounds, of the network that is left.

De Jorge et al. 2021, "Progressive skeletonization: trimming more fat from a network at
initialization", and the public code of its authors.
"""

from torch import Tensor

from dstbench.config.registry import register
from dstbench.core.state import State
from dstbench.errors import require
from dstbench.methods.global_pruning import GlobalPruning, ScoredCopy
from dstbench.methods.snip import loss_gradients


@register("parts")
class IterativeSNIP(GlobalPruning):
    """Chooses static masks by SNIP in rounds: sensitivities of the weights that are left.

    A round scores |w · ∂L/∂w| in the pruned network, on new training images, and keeps the
    largest over all layers together. A pruned weight stays pruned. Live weights fall
    exponentially: N · density^(i/rounds) after round i, rounded down, exact after the last.

    Batch norm is in training mode while weights are scored, as in published code. L is the
    cross-entropy, with which that code trains; to prune, it takes the negative logit of the label.

    sparsity: fraction removed of the original network's prunable weights, in [0, 1).
    rounds: times to score and prune.
    batches: training batches of each round over which the gradient is averaged, each of the run's
        batch size.

    Raises UserError: when a setting is out of range, when there are no training images, and when
        the scores of the whole network vanish or are not finite.
    """

    def __init__(self, sparsity: float, rounds: int = 60, batches: int = 1):
        super().__init__(sparsity, rounds, batch_statistics=True)
        require(batches >= 1, self, "batches", batches, "at least 1")
        self.batches = batches

    def scores(self, state: State, network: ScoredCopy) -> Tensor:
        return (network.initial * loss_gradients(state, network, self.batches)).abs()


@register("parts")
class FORCE(IterativeSNIP):
    """Chooses static masks like IterativeSNIP, but a pruned weight may come back in a later round.

    Pruned weights are zero in the forward pass and have gradients; a round ranks every weight by
    its initial value times its gradient in the pruned network: |w₀ · ∂L/∂w|.

    As in published code, a round keeps all weights that tie with the last one kept; the last round
    is exact here. So where pruning cuts the network, and no weight has a gradient, the next round
    starts from the whole network again. Without a gradient in the last round the masks are random.

    sparsity: fraction removed of the original network's prunable weights, in [0, 1).
    rounds: times to score and prune.
    batches: training batches of each round over which the gradient is averaged, each of the run's
        batch size.
    """

    revives = True
