"""Gradient clipping, as a part: a visible setting of a method, not a habit of the loop."""

from typing import Literal

import torch

from dstbench.config.registry import register
from dstbench.core.masks import flat, gradient_of
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.errors import require


@register("parts")
class GradientClip(Part):
    """Scales all gradients down so that their norm is at most `norm`.

    over: 'dense', the norm over every gradient, dead weights' included (what the public EAST code
        does), or 'live', over live weights and everything that has no mask. Either way all
        gradients are scaled, so that growth scores keep their order.
    """

    def __init__(self, norm: float = 1.0, over: Literal["dense", "live"] = "dense"):
        require(norm > 0, self, "norm", norm, "positive")
        self.norm, self.over = norm, over

    def after_backward(self, state: State) -> None:
        gradients = [p.grad for p in state.model.parameters() if p.grad is not None]
        counted = gradients if self.over == "dense" else self._live(state)
        norms = torch._foreach_norm(counted)
        total = torch.linalg.vector_norm(torch.stack(norms))
        factor = (self.norm / (total + 1e-6)).clamp_(max=1.0)  # stays on the device
        torch._foreach_mul_(gradients, factor)

    def _live(self, state: State) -> list[torch.Tensor]:
        """Gradients of live weights, and of everything without a mask."""
        masked = {id(state.masks.parameters[name]) for name in state.masks}
        counted = [
            p.grad for p in state.model.parameters() if p.grad is not None and id(p) not in masked
        ]
        for name in state.masks:
            gradient = gradient_of(state.masks.parameters[name])
            if gradient is not None:
                counted.append(flat(gradient)[state.masks.index(name)])
        return counted
