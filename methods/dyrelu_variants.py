"""DyReLU-A and DyReLU-C, variants of DyReLU-B, for ActivationPhasing.

Chen et al. 2020, "Dynamic ReLU". The EAST paper (Li et al. 2024), section 3.1, takes DyReLU-B
because it worked best, and prints no number of the others.
"""

import torch
from torch import Tensor, nn

from dstbench.config.registry import register
from dstbench.errors import require
from dstbench.methods.activations import Activation
from dstbench.methods.dyrelu import coefficients, piecewise_linear


@register("activations")
class DyReLUA(Activation):
    """DyReLU with the same two slopes and intercepts for all channels of an image.

    Chen et al. 2020, "Dynamic ReLU", DY-ReLU-A.

    reduction: its hidden channels are the input's divided by this, at least 1.
    """

    def __init__(self, reduction: int = 4):
        require(reduction >= 1, self, "reduction", reduction, "at least 1")
        self.reduction = reduction

    def module(self, channels: int) -> nn.Module:
        return _Shared(channels, self.reduction, groups=1)

    def macs(self, channels: int, pixels: int) -> int:
        return _hyper_macs(channels, self.reduction, 1) + 2 * channels * pixels


@register("activations")
class DyReLUC(Activation):
    """DyReLU-B times an attention π of each pixel, the same for all channels.

    Chen et al. 2020, "Dynamic ReLU", DY-ReLU-C: slopes and intercepts of channel c at
    pixel p are π_p times those of DyReLU-B, π_p = min(γ · exp(z_p/τ) / Σ_q exp(z_q/τ), 1), and z is
    a 1×1 convolution of the input, with bias. At equal z, π is 1/3: it does not begin near ReLU.

    reduction: its hidden channels are the input's divided by this, at least 1.
    temperature: τ.
    pixels_per_gamma: γ is the number of pixels divided by this.
    """

    def __init__(
        self, reduction: int = 4, temperature: float = 10.0, pixels_per_gamma: float = 3.0
    ):
        require(reduction >= 1, self, "reduction", reduction, "at least 1")
        require(temperature > 0, self, "temperature", temperature, "positive")
        require(pixels_per_gamma > 0, self, "pixels_per_gamma", pixels_per_gamma, "positive")
        self.reduction, self.temperature = reduction, temperature
        self.pixels_per_gamma = pixels_per_gamma

    def module(self, channels: int) -> nn.Module:
        return _Attended(channels, self.reduction, self.temperature, self.pixels_per_gamma)

    def macs(self, channels: int, pixels: int) -> int:
        attention = 2 * channels * pixels  # z, and the product with π
        return _hyper_macs(channels, self.reduction, channels) + 2 * channels * pixels + attention


def _hyper_macs(channels: int, reduction: int, groups: int) -> int:
    """Return the MACs of W₁ and W₂."""
    return max(1, channels // reduction) * (channels + 4 * groups)


class _Shared(nn.Module):
    """max(a₁x + b₁, a₂x + b₂) with coefficients of each image and group of channels.

    The weights are not in nn.Linear modules, so that they are not prunable.

    groups: 1 (DyReLU-A) or as many as channels (DyReLU-B).
    """

    def __init__(self, channels: int, reduction: int, groups: int):
        super().__init__()
        hidden = max(1, channels // reduction)
        first, second = nn.Linear(channels, hidden), nn.Linear(hidden, 4 * groups)
        self.first, self.first_bias = first.weight, first.bias
        self.second, self.second_bias = second.weight, second.bias

    def forward(self, x: Tensor) -> Tensor:
        found = coefficients(x, self.first, self.first_bias, self.second, self.second_bias)
        found = found.to(x.dtype).expand(-1, -1, x.shape[1], 1, 1)
        return piecewise_linear(x, *found.unbind())


class _Attended(_Shared):
    """DyReLU-B times π."""

    def __init__(self, channels: int, reduction: int, temperature: float, divisor: float):
        super().__init__(channels, reduction, groups=channels)
        self.temperature, self.divisor = temperature, divisor
        attention = nn.Conv2d(channels, 1, 1)
        self.attention = nn.Parameter(attention.weight.detach().reshape(1, channels))
        self.attention_bias = attention.bias

    def forward(self, x: Tensor) -> Tensor:
        z = torch.einsum("bchw,oc->bohw", x, self.attention) + self.attention_bias[:, None, None]
        z = z.to(torch.promote_types(z.dtype, torch.float32))
        share = torch.softmax(z.flatten(1) / self.temperature, dim=1)
        pi = (share * (share.shape[1] / self.divisor)).clamp(max=1).view(z.shape)
        # π > 0, so the maximum of π-fold terms is π times the maximum
        return super().forward(x) * pi.to(x.dtype)
