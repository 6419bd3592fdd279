"""DyReLU phasing: DyReLU activations that are blended into ReLU during training.

EAST paper (Li et al. 2024), section 3.1 and Algorithm 1, lines 3–6; DyReLU-B of Chen et al. 2020,
"Dynamic ReLU".
"""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from dstbench.config.registry import register
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.errors import UserError, require
from dstbench.graph.dynamic import Blending
from dstbench.methods.weight_sharing import shares, stages
from dstbench.models.network_copy import copy_with
from dstbench.models.surgery import find_modules

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


class DyReLU(nn.Module):
    """y = max_k (a_k(x) · x + b_k(x)), k = 1, 2: slopes and intercepts per channel and image.

    (a₁, a₂, b₁, b₂) = (1, 0, 0, 0) + λ ∘ (2σ(W₂ relu(W₁ mean(x))) − 1), λ = 1 for a, ½ for b. W₁
    maps C to C/reduction channels, W₂ those to 4C, both with bias. At initialisation it is not a
    ReLU. The weights are not in nn.Linear modules, so that they are not prunable.

    channels: C of input and output, both (B, C, H, W).
    reduction: hidden channels are C/reduction, at least 1.
    blend: what β blends, 'outputs' or 'coefficients'.
    inplace: whether plain ReLU may overwrite its input.
    pixels: height · width of the input, for `extra_macs`.
    beta: β, (): 1 is DyReLU alone, 0 is plain ReLU, and then nothing else is computed.
    """

    is_activation = True
    training_only = True  # its parameters are not in the deployed network
    beta: Tensor

    def __init__(
        self, channels: int, reduction: int, blend: Blend, inplace: bool = False, pixels: int = 0
    ):
        super().__init__()
        self.inplace, self.pixels = inplace, pixels
        self.channels, self.blend, self.phase = channels, blend, "dynamic"
        hidden = max(1, channels // reduction)
        squeeze, excite = nn.Linear(channels, hidden), nn.Linear(hidden, 4 * channels)
        self.squeeze_weight, self.squeeze_bias = squeeze.weight, squeeze.bias
        self.excite_weight, self.excite_bias = excite.weight, excite.bias
        # A tensor, not a number, so that a captured or compiled step stays valid when it changes.
        self.register_buffer("beta", torch.ones(()), persistent=False)

    def set_beta(self, beta: float) -> None:
        self.phase = _phase(beta)
        self.beta.fill_(beta)

    def extra_macs(self) -> int:
        """Return the MACs of one image that plain ReLU does not have, in the present phase.

        W₁, W₂, and the two terms of the maximum at every element. assumed: blending is free.
        """
        if self.phase == "plain":
            return 0
        return (
            self.squeeze_weight.numel()
            + self.excite_weight.numel()
            + 2 * self.channels * self.pixels
        )

    def coefficients(self, x: Tensor) -> Tensor:
        """Return (a₁, a₂, b₁, b₂), (4, B, C, 1, 1)."""
        # Not x.mean, whose gradient would be materialised for every pixel.
        mean = x.sum(dim=(2, 3)) / (x.shape[2] * x.shape[3])  # (B, C)
        hidden = F.relu(F.linear(mean, self.squeeze_weight, self.squeeze_bias))
        raw = F.linear(hidden, self.excite_weight, self.excite_bias)  # (B, 4C)
        theta = 2 * torch.sigmoid(raw.to(torch.promote_types(raw.dtype, torch.float32))) - 1
        a1, a2, b1, b2 = theta.view(-1, 4, self.channels).unbind(1)
        return torch.stack([1 + a1, a2, 0.5 * b1, 0.5 * b2])[..., None, None]

    @property
    def is_dynamic(self) -> bool:
        return self.phase != "plain"

    def blending(self) -> Blending:
        """Return how β enters now, for a `dstbench.graph.dynamic.DynamicActivation`."""
        beta = float(self.beta) if self.phase == "blended" else 1.0
        of_outputs = beta if self.blend == "outputs" else 1.0
        ranges = (beta, beta, 0.5 * beta, 0.5 * beta)
        return Blending((of_outputs, 0.0, 0.0, 0.0), ranges, 1 - of_outputs)

    def forward(self, x: Tensor) -> Tensor:
        if self.phase == "plain":
            return F.relu(x, inplace=self.inplace)
        a1, a2, b1, b2 = self.coefficients(x)
        if self.phase == "blended" and self.blend == "coefficients":
            a1, a2 = self.beta * a1 + (1 - self.beta), self.beta * a2
            b1, b2 = self.beta * b1, self.beta * b2
        a1, a2, b1, b2 = (c.to(x.dtype) for c in (a1, a2, b1, b2))
        beta = (
            self.beta.to(x.dtype) if self.phase == "blended" and self.blend == "outputs" else None
        )
        return _Dynamic.apply(x, a1, a2, b1, b2, beta)


def _phase(beta: float) -> str:
    """Return whether an activation of this β is a plain ReLU, dynamic or blended of both."""
    return "plain" if beta <= 0 else "dynamic" if beta >= 1 else "blended"


@register("parts")
class DyReLUPhasing(Part):
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
        require(0 <= start < 1, self, "start", start, "a progress in [0, 1)")
        require(start < end < 1, self, "end", end, f"a progress after start ({start}), below 1")
        require(reduction >= 1, self, "reduction", reduction, "at least 1")
        self.start, self.end, self.reduction, self.blend = start, end, reduction, blend

    def beta(self, step: int, total_steps: int) -> float:
        """Return β, the fraction of DyReLU, for the forward pass after `step` optimizer steps."""
        begin, end = self.start * total_steps, self.final_structure_step(total_steps)
        return 1 - min(max((step - begin) / (end - begin), 0.0), 1.0)

    def final_structure_step(self, total_steps: int) -> int:
        return math.ceil(round(self.end * total_steps, 6))

    def replaces(self, model: nn.Module, place: str) -> bool:
        """Return whether the ReLU of this full name becomes a DyReLU; before any is replaced."""
        return True

    def surgery(self, state: State) -> None:
        shapes = _input_shapes(state.model, state.image_shape)
        relus = find_modules(state.model, nn.ReLU)
        chosen = {place for _, _, place in relus if self.replaces(state.model, place)}
        for parent, name, place in relus:
            if place in shapes and place in chosen:  # modules never called keep their ReLU
                _, channels, height, width = shapes[place]
                inplace = getattr(parent, name).inplace
                dynamic = DyReLU(channels, self.reduction, self.blend, inplace, height * width)
                setattr(parent, name, dynamic)

    def before_step(self, state: State) -> None:
        beta = self.beta(state.step, state.total_steps)
        for module in state.model.modules():
            if isinstance(module, DyReLU):
                if module.phase == _phase(beta) != "blended":
                    return  # all have this β
                module.set_beta(beta)

    def extra_training_macs(self, state: State) -> int:
        if self.beta(state.step, state.total_steps) <= 0:
            return 0
        return sum(m.extra_macs() for m in state.model.modules() if isinstance(m, DyReLU))

    def finish(self, state: State) -> None:
        for parent, name, _ in find_modules(state.model, DyReLU):
            setattr(parent, name, nn.ReLU(getattr(parent, name).inplace))


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


def _input_shapes(model: nn.Module, image_shape: tuple[int, int, int]) -> dict[str, torch.Size]:
    """Return full name → shape (1, C, H, W) of the input of every ReLU that a pass calls."""
    twin = copy_with(model, Tensor.clone)  # on the meta device, if the model is
    shapes: dict[str, torch.Size] = {}

    def note(place: str, x: Tensor) -> None:
        if x.dim() != 4 or shapes.get(place, x.shape)[1] != x.shape[1]:
            raise UserError(
                f"DyReLUPhasing: the ReLU at {place} sees {list(x.shape)}; it needs images "
                "(B, C, H, W), always of the same channels. Leave DyReLUPhasing out."
            )
        shapes[place] = x.shape

    for place, module in twin.named_modules(remove_duplicate=False):
        if isinstance(module, nn.ReLU):
            module.register_forward_pre_hook(lambda _, args, place=place: note(place, args[0]))
    with torch.no_grad():
        twin(next(model.parameters()).new_zeros(1, *image_shape))
    return shapes
