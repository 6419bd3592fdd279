"""DyReLU phasing: dynamic activations that give way to plain ReLU during training. EAST paper,
section 3.1 and Algorithm 1, lines 3–6; DyReLU-B of Chen et al. 2020, "Dynamic ReLU"."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dstbench.cost import shadow
from dstbench.errors import UserError, require
from dstbench.part import Part, State
from dstbench.registry import register
from dstbench.surgery import places_of

Blend = Literal["outputs", "coefficients"]


class DyReLU(nn.Module):
    """y = max_k (a_k(x) · x + b_k(x)), k = 1, 2: slopes and offsets per channel and image.

    (a₁, a₂, b₁, b₂) = (1, 0, 0, 0) + λ ∘ (2σ(W₂ relu(W₁ mean(x))) − 1), λ = 1 for a, ½ for b; W₁
    maps C to C/reduction channels, W₂ those to 4C, both with bias. So it is no ReLU at its start.
    `beta` blends it with ReLU: 1 is DyReLU alone, 0 is ReLU alone, and then nothing else is
    computed. The weights are no nn.Linear, so that they are never taken for prunable.

    channels: C. Input and output (B, C, H, W).
    """

    is_activation = True
    training_only = True  # its parameters are no part of the network that is deployed
    beta: Tensor

    def __init__(self, channels: int, reduction: int, blend: Blend):
        super().__init__()
        self.channels, self.blend, self.phase = channels, blend, "dynamic"
        hidden = max(1, channels // reduction)
        squeeze, excite = nn.Linear(channels, hidden), nn.Linear(hidden, 4 * channels)
        self.squeeze_weight, self.squeeze_bias = squeeze.weight, squeeze.bias
        self.excite_weight, self.excite_bias = excite.weight, excite.bias
        # A tensor, not a number: a captured or compiled step need not change when it moves.
        self.register_buffer("beta", torch.ones(()), persistent=False)

    def set_beta(self, beta: float) -> None:
        self.phase = "plain" if beta <= 0 else "dynamic" if beta >= 1 else "blended"
        self.beta.fill_(beta)

    def coefficients(self, x: Tensor) -> Tensor:
        """(a₁, a₂, b₁, b₂): (4, B, C, 1, 1)."""
        mean = x.mean(dim=(2, 3))  # (B, C)
        hidden = F.relu(F.linear(mean, self.squeeze_weight, self.squeeze_bias))
        raw = F.linear(hidden, self.excite_weight, self.excite_bias).float()  # (B, 4C)
        theta = 2 * torch.sigmoid(raw) - 1
        a1, a2, b1, b2 = theta.view(-1, 4, self.channels).unbind(1)
        return torch.stack([1 + a1, a2, 0.5 * b1, 0.5 * b2])[..., None, None]

    def forward(self, x: Tensor) -> Tensor:
        if self.phase == "plain":
            return F.relu(x)
        a1, a2, b1, b2 = self.coefficients(x)
        if self.phase == "blended" and self.blend == "coefficients":
            a1, a2 = self.beta * a1 + (1 - self.beta), self.beta * a2
            b1, b2 = self.beta * b1, self.beta * b2
        a1, a2, b1, b2 = (c.to(x.dtype) for c in (a1, a2, b1, b2))
        dynamic = torch.maximum(a1 * x + b1, a2 * x + b2)
        if self.phase == "blended" and self.blend == "outputs":
            return torch.lerp(F.relu(x), dynamic, self.beta.to(x.dtype))
        return dynamic


@register("parts")
class DyReLUPhasing(Part):
    """DyReLU-B in place of every ReLU, blended into ReLU between two moments, removed at the end.

    start, end: progress at which beta leaves 1 and reaches 0 (T_s and T_e), linearly in between.
    reduction: of DyReLU's hidden channels. blend: 'outputs' (Algorithm 1, line 4), or
    'coefficients', as the authors' code has it.

    From `end` on it is inert: plain ReLU, bit for bit, no gradient and no decay.
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
        """The share of DyReLU in the forward pass that follows `step` finished steps."""
        begin, end = self.start * total_steps, self.settled_at(total_steps)
        return 1 - min(max((step - begin) / (end - begin), 0.0), 1.0)

    def settled_at(self, total_steps: int) -> int:
        return math.ceil(round(self.end * total_steps, 6))

    def surgery(self, state: State) -> None:
        channels = _channels(state.model, state.image_shape)
        for parent, name, place in places_of(state.model, nn.ReLU):
            if place in channels:  # one that is never called has nothing to say
                setattr(parent, name, DyReLU(channels[place], self.reduction, self.blend))

    def before_step(self, state: State) -> None:
        beta = self.beta(state.step, state.total_steps)
        for module in state.model.modules():
            if isinstance(module, DyReLU):
                module.set_beta(beta)

    def finish(self, state: State) -> None:
        for parent, name, _ in places_of(state.model, DyReLU):
            setattr(parent, name, nn.ReLU())


def _channels(model: nn.Module, image_shape: tuple[int, int, int]) -> dict[str, int]:
    """Full name of every ReLU that is called → channels of its input, found by a forward pass."""
    twin = shadow(model, lambda t: torch.empty_like(t, device="meta"))
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
        twin(torch.empty(1, *image_shape, device="meta"))
    return {place: shape[1] for place, shape in shapes.items()}
