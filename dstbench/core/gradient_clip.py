"""GradientClip: gradient clipping as a part of a method."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from dstbench.config.registry import register
from dstbench.core.masks import Masks, live_gradient
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.errors import require


@register("parts")
class GradientClip(Part):
    """Scales all gradients by one factor so that their Euclidean norm is at most `norm`.

    norm: largest norm, positive.
    over: gradients that the norm is taken over. 'dense': all, those of dead weights included, as in
        the public EAST code. 'live': those of live weights and of parameters without a mask. All
        gradients are scaled in both cases, so that growth scores keep their order.

    The two are different methods: batch norm magnifies gradients of channels without live weights,
    so the dense norm is mostly that of dead weights, and the steps of live ones become small. Only
    'live' lets the native engine train, because 'dense' needs all gradients in every step.
    """

    def __init__(self, norm: float = 1.0, over: Literal["dense", "live"] = "dense"):
        require(norm > 0, self, "norm", norm, "positive")
        self.norm, self.over = norm, over

    def needs_dense_gradients(self, step: int, total_steps: int) -> bool:
        return self.over == "dense"

    def after_backward(self, state: State) -> None:
        dense = {id(p): p.grad for p in state.model.parameters() if p.grad is not None}
        gradients = [*dense.values(), *state.masks.live_gradients.values()]
        counted = gradients if self.over == "dense" else _live(state.masks, dense)
        norms = torch._foreach_norm(counted)
        total = torch.linalg.vector_norm(torch.stack(norms))
        factor = (self.norm / (total + 1e-6)).clamp_(max=1.0)  # stays on the device
        torch._foreach_mul_(gradients, factor)


def _live(masks: Masks, dense: Mapping[int, Tensor]) -> list[Tensor]:
    """Return the gradients of live weights, and of parameters without a mask.

    dense: id of a parameter → its gradient, of those that have one.
    """
    masked = {id(masks.parameters[name]) for name in masks}
    counted = [gradient for key, gradient in dense.items() if key not in masked]
    live = (live_gradient(masks, name) for name in masks)
    return counted + [gradient for gradient in live if gradient is not None]
