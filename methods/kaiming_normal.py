"""KaimingNormal: initial weights from the normal distribution of He et al. 2015, equation 10."""

from typing import ClassVar, Literal

import torch
from torch import nn

from dstbench.config.registry import register
from dstbench.core.part import Part
from dstbench.core.prunable import prunable
from dstbench.core.state import State
from dstbench.errors import require


@register("parts")
class KaimingNormal(Part):
    """Draws every prunable weight from N(0, 2/fan), and sets the biases of its layers to zero.

    The network is scored and trained from these weights, in place of those that its constructor
    draws. Normalisation keeps its values. The draws are part of the run's seed.

    mode: 'fan_in' for the inputs of one unit (in channels × kernel positions), 'fan_out' for the
        outputs of one input.
    """

    conflicts: ClassVar[dict[str, str]] = {
        "DCTpS": "DCTpS starts its sparse weights at zero, beside its dense offset"
    }

    def __init__(self, mode: Literal["fan_in", "fan_out"] = "fan_in"):
        require(mode in ("fan_in", "fan_out"), self, "mode", mode, "'fan_in' or 'fan_out'")
        self.mode: Literal["fan_in", "fan_out"] = mode

    @torch.no_grad()
    def surgery(self, state: State) -> None:
        drawn: set[int] = set()
        for weight in prunable(state.model).values():
            if weight.is_meta:  # shapes only, no values
                continue
            # contiguous, so that the draws are the same in any memory layout
            values = torch.empty(weight.shape, dtype=weight.dtype)
            nn.init.kaiming_normal_(
                values, mode=self.mode, nonlinearity="relu", generator=state.rng
            )
            weight.copy_(values)
            drawn.add(id(weight))
        for module in state.model.modules():
            own = dict(module.named_parameters(recurse=False))
            if any(id(parameter) in drawn for parameter in own.values()):
                for name in own.keys() & {"bias", "in_proj_bias"}:
                    own[name].zero_()
