"""Phasing of other activations than DyReLU-B: PReLU, Swish, Mish.

The EAST paper (Li et al. 2024), section 3.1, tested several and found DyReLU-B to be the best; its
section 2 names PReLU, Swish and Mish. It prints no number of any of them.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from dstbench.config.registry import register
from dstbench.methods.phasing import Phased, Phasing


class Activation(ABC):
    """The settings of an activation; a network has one module of it in every ReLU's place."""

    @abstractmethod
    def module(self, channels: int) -> nn.Module:
        """Return the activation of (B, channels, H, W)."""

    @abstractmethod
    def macs(self, channels: int, pixels: int) -> int:
        """Return its MACs of one image, beyond ReLU's. assumed: exponentials are free."""


class PhasedActivation(Phased):
    """β · φ(x) + (1 − β) · relu(x).

    activation: φ.
    macs: of one image while φ is computed.
    inplace: whether plain ReLU may overwrite its input.
    """

    def __init__(self, activation: nn.Module, macs: int, inplace: bool = False):
        super().__init__(inplace)
        self.activation, self.macs = activation, macs

    def macs_unphased(self) -> int:
        return self.macs

    def unphased(self, x: Tensor) -> Tensor:
        y = self.activation(x).to(x.dtype)
        return y if self.phase == "dynamic" else torch.lerp(x.relu(), y, self.beta.to(x.dtype))


@register("parts")
class ActivationPhasing(Phasing):
    """Replaces every ReLU by another activation, blended back into ReLU linearly from T_s to T_e.

    From `end` on it is plain ReLU, bit for bit; parameters of the activation get no gradient and no
    weight decay then, and are removed after the last step. For DyReLU-B take DyReLUPhasing.

    activation: what takes ReLU's place, such as @PReLU().
    start: T_s, progress at which β leaves 1.
    end: T_e, progress at which β reaches 0.
    """

    def __init__(self, activation: Activation, start: float = 0.25, end: float = 0.495):
        super().__init__(start, end)
        self.activation = activation

    def replacement(self, relu: nn.ReLU, channels: int, pixels: int) -> Phased:
        module, macs = self.activation.module(channels), self.activation.macs(channels, pixels)
        return PhasedActivation(module, macs, relu.inplace)


@register("activations")
class PReLU(Activation):
    """max(x, 0) + a · min(x, 0), with a learned slope a for each channel.

    He et al. 2015, "Delving deep into rectifiers", equation 1. Their slopes have no weight decay;
    here they have that of all other parameters.

    slope: initial a.
    """

    def __init__(self, slope: float = 0.25):
        self.slope = slope

    def module(self, channels: int) -> nn.Module:
        return nn.PReLU(channels, self.slope)

    def macs(self, channels: int, pixels: int) -> int:
        return channels * pixels


@register("activations")
class Swish(Activation):
    """x · σ(x), also called SiLU.

    Ramachandran et al. 2017, "Searching for activation functions", section 4, with their β fixed
    to 1.
    """

    def module(self, channels: int) -> nn.Module:
        return nn.SiLU()

    def macs(self, channels: int, pixels: int) -> int:
        return channels * pixels


@register("activations")
class Mish(Activation):
    """x · tanh(log(1 + exp(x))).

    Misra 2019, "Mish: A self regularized non-monotonic activation function", equation 1.
    """

    def module(self, channels: int) -> nn.Module:
        return nn.Mish()

    def macs(self, channels: int, pixels: int) -> int:
        return channels * pixels
