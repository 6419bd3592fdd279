"""NormalLinear: initial weights of linear layers from a normal distribution of fixed width."""

import torch
from torch import nn

from dstbench.config.registry import register
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.errors import require


@register("parts")
class NormalLinear(Part):
    """Draws the weights of every linear layer from N(0, std²), and sets its bias to zero.

    Put it after a part that draws the weights of all layers, such as KaimingNormal.

    std: standard deviation of the weights.
    """

    def __init__(self, std: float = 0.01):
        require(std > 0, self, "std", std, "above 0")
        self.std = std

    @torch.no_grad()
    def surgery(self, state: State) -> None:
        for module in state.model.modules():
            if not isinstance(module, nn.Linear) or module.weight.is_meta:
                continue
            # contiguous, so that the draws are the same in any memory layout
            values = torch.empty(module.weight.shape, dtype=module.weight.dtype)
            module.weight.copy_(values.normal_(0, self.std, generator=state.rng))
            if module.bias is not None:
                module.bias.zero_()
