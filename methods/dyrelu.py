"""DyReLU phasing: DyReLU activations that are blended into ReLU during training.

EAST paper (Li et al. 2024), section 3.1 and Algorithm 1, lines 3–6; DyReLU-B of Chen et al. 2020,
"Dynamic ReLU".
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from dstbench.config.registry import register
from dstbench.core.state import State
from dstbench.errors import UserError, require
from dstbench.graph.dynamic import Blending
from dstbench.methods.phasing import Phased, Phasing
from dstbench.methods.weight_sharing import shares, stages

Blend = Literal["outputs", "coefficients"]


class _Dynamic(torch.autograd.Function):
    """β · max(a₁x + b₁, a₂x + b₂) + (1 − β) · relu(x), with a memory-efficient gradient.

    Where both terms of the maximum are equal, the gradient goes to the second.

    x: (B, C, H, W).
    a₁, a₂, b₁, b₂: (B, C, 1, 1).
    β: (), or None for 1.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, a1: Tensor, a2: Tensor, b1: Tensor, b2: Tensor, beta: Tensor | None
    ) -> Tensor:
        first, second = torch.addcmul(b1, a1, x), torch.addcmul(b2, a2, x)
        y = torch.maximum(first, second)
        ctx.save_for_backward(x, a1, a2, first.sub_(second), beta)
        return y if beta is None else torch.clamp_min(x, 0, out=second).lerp_(y, beta)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, a1, a2, lead, beta = ctx.saved_tensors
        first = _where_positive(grad, lead)
        buffer = first * x
        grad_a1, grad_b1 = _over_pixels(buffer), _over_pixels(first)
        torch.mul(grad, x, out=buffer)
        grad_a2, grad_b2 = _over_pixels(buffer) - grad_a1, _over_pixels(grad) - grad_b1
        grads = [grad_a1, grad_a2, grad_b1, grad_b2]
        if beta is not None:
            a1, a2, grads = beta * a1, beta * a2, [beta * g for g in grads]
        grad_x = torch.mul(grad, a2, out=buffer).addcmul_(first, a1 - a2)
        if beta is not None:
            grad_x.addcmul_(_where_positive(grad, x, out=first), 1 - beta)
        return grad_x, *grads, None


def _where_positive(values: Tensor, x: Tensor, out: Tensor | None = None) -> Tensor:
    """Return the values where x > 0, else zero; much faster than `torch.where`."""
    threshold = torch.ops.aten.threshold_backward
    return threshold(values, x, 0) if out is None else threshold(values, x, 0, grad_input=out)


def _over_pixels(values: Tensor) -> Tensor:
    """Sum over height and width: (B, C, H, W) → (B, C, 1, 1)."""
    return values.sum(dim=(2, 3), keepdim=True)


class DyReLU(Phased):
    """y = max_k (a_k(x) · x + b_k(x)), k = 1, 2: slopes and intercepts per channel and image.

    (a₁, a₂, b₁, b₂) = (1, 0, 0, 0) + λ ∘ (2σ(W₂ relu(W₁ mean(x))) − 1), λ = 1 for a, ½ for b. W₁
    maps C to C/reduction channels, W₂ those to 4C, both with bias. At initialisation it is not a
    ReLU. The weights are not in nn.Linear modules, so that they are not prunable.

    channels: C of input and output, both (B, C, H, W).
    reduction: hidden channels are C/reduction, at least 1.
    blend: what β blends, 'outputs' or 'coefficients'.
    inplace: whether plain ReLU may overwrite its input.
    pixels: height · width of the input, for `extra_macs`.
    """

    def __init__(
        self, channels: int, reduction: int, blend: Blend, inplace: bool = False, pixels: int = 0
    ):
        super().__init__(inplace)
        self.channels, self.blend, self.pixels = channels, blend, pixels
        hidden = max(1, channels // reduction)
        squeeze, excite = nn.Linear(channels, hidden), nn.Linear(hidden, 4 * channels)
        self.squeeze_weight, self.squeeze_bias = squeeze.weight, squeeze.bias
        self.excite_weight, self.excite_bias = excite.weight, excite.bias

    def macs_unphased(self) -> int:
        """Return those of W₁, W₂, and the two terms of the maximum at every element."""
        return (
            self.squeeze_weight.numel()
            + self.excite_weight.numel()
            + 2 * self.channels * self.pixels
        )

    def coefficients(self, x: Tensor) -> Tensor:
        """Return (a₁, a₂, b₁, b₂), (4, B, C, 1, 1)."""
        weights = (self.squeeze_weight, self.squeeze_bias, self.excite_weight, self.excite_bias)
        return coefficients(x, *weights)

    @property
    def is_dynamic(self) -> bool:
        return self.phase != "plain"

    def blending(self) -> Blending:
        """Return how β enters now, for a `dstbench.graph.dynamic.DynamicActivation`."""
        beta = float(self.beta) if self.phase == "blended" else 1.0
        of_outputs = beta if self.blend == "outputs" else 1.0
        ranges = (beta, beta, 0.5 * beta, 0.5 * beta)
        return Blending((of_outputs, 0.0, 0.0, 0.0), ranges, 1 - of_outputs)

    def unphased(self, x: Tensor) -> Tensor:
        a1, a2, b1, b2 = self.coefficients(x)
        if self.phase == "blended" and self.blend == "coefficients":
            a1, a2 = self.beta * a1 + (1 - self.beta), self.beta * a2
            b1, b2 = self.beta * b1, self.beta * b2
        a1, a2, b1, b2 = (c.to(x.dtype) for c in (a1, a2, b1, b2))
        beta = (
            self.beta.to(x.dtype) if self.phase == "blended" and self.blend == "outputs" else None
        )
        return piecewise_linear(x, a1, a2, b1, b2, beta)


def coefficients(
    x: Tensor, squeeze: Tensor, squeeze_bias: Tensor, excite: Tensor, excite_bias: Tensor
) -> Tensor:
    """Return (a₁, a₂, b₁, b₂) of a DyReLU with G groups of channels, (4, B, G, 1, 1).

    x: (B, C, H, W).
    squeeze, squeeze_bias: W₁, (hidden, C), and its bias.
    excite, excite_bias: W₂, (4G, hidden), and its bias; of all groups a₁, then a₂, …
    """
    # Not x.mean, whose gradient would be materialised for every pixel.
    mean = x.sum(dim=(2, 3)) / (x.shape[2] * x.shape[3])  # (B, C)
    hidden = F.relu(F.linear(mean, squeeze, squeeze_bias))
    raw = F.linear(hidden, excite, excite_bias)  # (B, 4G)
    theta = 2 * torch.sigmoid(raw.to(torch.promote_types(raw.dtype, torch.float32))) - 1
    a1, a2, b1, b2 = theta.view(-1, 4, len(excite) // 4).unbind(1)
    return torch.stack([1 + a1, a2, 0.5 * b1, 0.5 * b2])[..., None, None]


def piecewise_linear(
    x: Tensor, a1: Tensor, a2: Tensor, b1: Tensor, b2: Tensor, beta: Tensor | None = None
) -> Tensor:
    """Return β · max(a₁x + b₁, a₂x + b₂) + (1 − β) · relu(x), shapes as `_Dynamic` has them."""
    return _Dynamic.apply(x, a1, a2, b1, b2, beta)


@register("parts")
class DyReLUPhasing(Phasing):
    """Replaces every ReLU by DyReLU-B, and blends it back into ReLU linearly from T_s to T_e.

    From `end` on it is plain ReLU, bit for bit; its parameters get no gradient and no weight decay.
    They are removed after the last step.

    start: T_s, progress at which β leaves 1.
    end: T_e, progress at which β reaches 0.
    reduction: hidden channels of DyReLU are its channels divided by this.
    blend: what β blends: 'outputs' (Algorithm 1, line 4) or 'coefficients' (the authors' code).
    """

    def __init__(
        self,
        start: float = 0.25,
        end: float = 0.495,
        reduction: int = 4,
        blend: Blend = "outputs",
    ):
        super().__init__(start, end)
        require(reduction >= 1, self, "reduction", reduction, "at least 1")
        self.reduction, self.blend = reduction, blend

    def replacement(self, relu: nn.ReLU, channels: int, pixels: int) -> Phased:
        return DyReLU(channels, self.reduction, self.blend, relu.inplace, pixels)


@register("parts")
class DyReLUInSharing(DyReLUPhasing):
    """DyReLU phasing in the stem and in blocks that share convolutions; other ReLUs stay.

    The layout of ResNet-50 in the public EAST code (DyReLUPhasing's is that of the paper's text).
    Put it after WeightSharing. ResNet-50 then has 12.7 M DyReLU parameters, not 28.4 M.

    start, end, reduction, blend: as for DyReLUPhasing.

    Raises UserError: when no block shares convolutions.
    """

    def replaces(self, model: nn.Module, place: str) -> bool:
        block = model.get_submodule(place.rpartition(".")[0])
        in_stage = any(place.startswith(f"{stage}.") for stage in stages(model))
        return not in_stage or shares(block)

    def surgery(self, state: State) -> None:
        if not any(shares(module) for module in state.model.modules()):
            raise UserError(
                "DyReLUInSharing finds no block that shares convolutions. Put WeightSharing before "
                "it, or use DyReLUPhasing."
            )
        super().surgery(state)
