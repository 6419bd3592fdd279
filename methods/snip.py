"""SNIP: prune the weights of the smallest connection sensitivity, once, before training.

Lee, Ajanthan and Torr 2019, "SNIP: single-shot network pruning based on connection sensitivity",
Algorithm 1.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dstbench.config.registry import register
from dstbench.core.state import State
from dstbench.errors import require
from dstbench.methods.global_pruning import GlobalPruning, ScoredCopy


@torch.enable_grad()
def loss_gradients(state: State, network: ScoredCopy, batches: int) -> Tensor:
    """Return the gradient of the cross-entropy, (total,), averaged over training batches.

    At weights that are zero, such as pruned ones, it is their gradient all the same.
    """
    for _ in range(batches):
        images, labels = state.next_batch()
        cross_entropy(network.model(images).float(), labels).backward()
    return network.take_gradients() / batches


@register("parts")
class SNIP(GlobalPruning):
    """Chooses static masks: the weights of the largest |w · ∂L/∂w| over all layers together.

    This is |∂L/∂c| for a factor c = 1 on the weight, the connection sensitivity; published
    code divides it by its sum, which changes no mask. L is the cross-entropy of training images.

    The images are augmented and normalised as in training; published code prunes with images that
    are not augmented. It also prunes biases, which are never pruned here.

    sparsity: fraction removed of the original network's prunable weights, in [0, 1).
    batches: training batches over which the gradient is averaged, each of the run's batch size.
    batch_statistics: whether batch norm, and all else, is in training mode while weights are
        scored. False is the published code's mode: batch norm leaves its inputs as they are at
        initialisation.

    Raises UserError: when a setting is out of range, when there are no training images, and when
        the scores of the whole network vanish or are not finite.
    """

    def __init__(self, sparsity: float, batches: int = 1, batch_statistics: bool = False):
        super().__init__(sparsity, batch_statistics=batch_statistics)
        require(batches >= 1, self, "batches", batches, "at least 1")
        self.batches = batches

    def scores(self, state: State, network: ScoredCopy) -> Tensor:
        return (network.initial * loss_gradients(state, network, self.batches)).abs()
