"""Budgets ERK, EPL and Uniform: how live weights are divided among layers, with an exact total.

A budget divides round((1 − sparsity) · N) live weights among the prunable tensors: at least one
each, at most all. ERK, EPL and Uniform have proportions, and apportion by Sainte-Laguë, ties in
tensor order. No layer's count falls when the total rises: phases that only grow rely on it.

N is the number of prunable weights of the original network. A network that shares tensors divides
the same total among fewer tensors.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from fractions import Fraction

import torch

from dstbench.config.registry import register
from dstbench.core.apportion import apportion
from dstbench.core.budget import Budget
from dstbench.core.state import State
from dstbench.errors import UserError, require
from dstbench.sparsity import density, highest_sparsity, live_total, lowest_sparsity


class ByShape(Budget):
    """Divides live weights among tensors by their shapes: at least one each, at most all."""

    @abstractmethod
    def divide(self, total: int, shapes: Sequence[torch.Size]) -> list[int]:
        """Return the live weights of tensors of these shapes: at least one each, at most all.

        No tensor's count may fall when the total rises.

        total: their sum.
        """

    def live_counts(self, state: State, sparsity: float) -> dict[str, int]:
        """Return name → live weights of every prunable tensor; the total is exact.

        sparsity: fraction removed of the original network's prunable weights.

        Raises UserError: when not every tensor can keep one weight, or the tensors of a network
            that shares weights cannot hold the total.
        """
        tensors = state.masks.parameters
        total = live_total(sparsity, state.dense_numel)
        caps = [p.numel() for p in tensors.values()]
        if total < len(caps):
            highest = highest_sparsity(len(caps), state.dense_numel)
            raise UserError(
                f"sparsity {sparsity} leaves {total} weights for {len(caps)} layers, and each "
                f"needs one. The highest sparsity this network can have is {highest:.9f} "
                "(SynFlow, which may empty layers, allows more).",
                f"{type(self).__name__}.sparsity",
            )
        if total > sum(caps):
            lowest = lowest_sparsity(sum(caps), state.dense_numel)
            raise UserError(
                f"sparsity {sparsity} asks for {total} live weights, but the network, with shared "
                f"tensors counted once, stores {sum(caps)}. "
                f"Ask for at least {lowest:.9f}.",
                f"{type(self).__name__}.sparsity",
            )
        counts = self.divide(total, [p.shape for p in tensors.values()])
        return dict(zip(tensors, counts, strict=True))


class Proportional(ByShape):
    """Live weights in given proportions, which a subclass defines."""

    @abstractmethod
    def proportion(self, shape: torch.Size) -> int:
        """Return a tensor's relative number of live weights, a positive integer."""

    def divide(self, total: int, shapes: Sequence[torch.Size]) -> list[int]:
        caps = [shape.numel() for shape in shapes]
        return apportion(total, [self.proportion(shape) for shape in shapes], caps)


@register("parts")
class ERK(Proportional):
    """Erdős–Rényi-kernel: live weights ∝ the sum of a tensor's dimensions (out + in + kh + kw).

    A tensor that would exceed its size is dense, and the rest is divided among the others.
    Source: Evci et al. 2020, section 3, and ITOP's ERK initialisation.

    sparsity: fraction removed of the original network's prunable weights, in [0, 1).
    floor: least density of every tensor, as a fraction of the network's density, in (0, 1]. The
        weights that it adds exceed the budget, so the measured sparsity is lower than the one
        asked for. None, the default, keeps the budget. The public EAST code has floors of 0.6 and
        0.7. At 99.99 % they exceed the budget of a ResNet-34 that shares weights by 5 % and 11 %
        (3 % and 8 % without sharing), that of a ResNet-50 by 15 % and 19 % (15 % and 20 %).
    """

    def __init__(self, sparsity: float, floor: float | None = None):
        super().__init__(sparsity)
        allowed = "a fraction of the density in (0, 1], or None for none"
        require(floor is None or 0 < floor <= 1, self, "floor", floor, allowed)
        self.floor = floor
        self.over_budget = floor is not None

    def proportion(self, shape: torch.Size) -> int:
        return sum(shape)

    def live_counts(self, state: State, sparsity: float) -> dict[str, int]:
        """Return the budget's counts, each raised to the floor's if there is one."""
        counts = super().live_counts(state, sparsity)
        if self.floor is None:
            return counts
        sizes = {name: p.numel() for name, p in state.masks.parameters.items()}
        # relative to the density of the remaining tensors, which is higher where layers share
        kept = density(sparsity) * state.dense_numel
        least = Fraction(repr(float(self.floor))) * kept / sum(sizes.values())
        return {n: max(c, min(math.ceil(least * sizes[n]), sizes[n])) for n, c in counts.items()}


@register("parts")
class EPL(Proportional):
    """Equal per layer: every tensor keeps the same number of live weights, or all it has.

    Source: Price & Tanner 2021, the published code's default for DCTpS.

    sparsity: fraction removed of the original network's prunable weights, in [0, 1).
    """

    def proportion(self, shape: torch.Size) -> int:
        return 1


@register("parts")
class Uniform(Proportional):
    """Uniform sparsity: live weights ∝ a tensor's number of elements.

    sparsity: fraction removed of the original network's prunable weights, in [0, 1).
    """

    def proportion(self, shape: torch.Size) -> int:
        return shape.numel()
