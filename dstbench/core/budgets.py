"""How many weights each layer keeps: exact totals, never a layer without a weight.

A budget divides round((1 − sparsity) · N) live weights among the prunable tensors in proportion to
a weight per tensor, by Sainte-Laguë apportionment: at least one each, at most all, ties in tensor
order. The total is exact, and a layer's share never falls when the total rises, which a phase that
only grows relies on.

N counts the original network, so a network that shares tensors divides the same total among fewer.
"""

import heapq
import math
from abc import ABC, abstractmethod
from fractions import Fraction

import torch

from dstbench.config.registry import register
from dstbench.core.part import Part
from dstbench.core.selection import random_subset
from dstbench.core.state import State
from dstbench.errors import UserError, require
from dstbench.sparsity import live_total


def apportion(total: int, weights: list[int], caps: list[int]) -> list[int]:
    """Divide `total` seats in proportion to `weights`: Sainte-Laguë, 1 ≤ seats_i ≤ caps_i.

    Seat a+1 of a tensor has priority weight/(2a+1); seats go by priority, ties to the first
    tensor. Raises ValueError when `total` is below len(weights) or above sum(caps).
    """
    if not len(weights) <= total <= sum(caps):
        raise ValueError(f"{total} seats for {len(weights)} tensors of {sum(caps)} elements")

    def seats_at(scale: float) -> list[int]:
        return [
            min(max(int(w * scale + 0.5), 1), c) for w, c in zip(weights, caps, strict=True)
        ]  # every seat of priority above 1/(2·scale)

    low, high = 0.0, 1.0
    while sum(seats_at(high)) < total:
        low, high = high, 2 * high
    for _ in range(80):  # the largest scale that hands out too few, to the last bit
        middle = (low + high) / 2
        low, high = (middle, high) if sum(seats_at(middle)) < total else (low, middle)
    # A margin below it, so that rounding hands out no seat early; the rest goes seat by seat.
    seats = seats_at(low * (1 - 1e-9))
    heap = [
        (Fraction(2 * s + 1, w), i)
        for i, (s, w, c) in enumerate(zip(seats, weights, caps, strict=True))
        if s < c
    ]
    heapq.heapify(heap)
    for _ in range(total - sum(seats)):
        _, i = heapq.heappop(heap)
        seats[i] += 1
        if seats[i] < caps[i]:
            heapq.heappush(heap, (Fraction(2 * seats[i] + 1, weights[i]), i))
    return seats


class Budget(Part, ABC):
    """Chooses random masks with exact counts; subclasses say what a tensor's share is.

    sparsity: fraction removed of the original network's prunable weights, in [0, 1).
    """

    def __init__(self, sparsity: float):
        require(
            0 <= sparsity < 1, self, "sparsity", sparsity,
            "a fraction in [0, 1), such as 0.999 for 99.9 %",
        )  # fmt: skip
        self.sparsity = sparsity

    @property
    def budget(self) -> "Budget":
        return self

    @abstractmethod
    def share(self, shape: torch.Size) -> int:
        """A tensor's relative claim on live weights, a positive integer."""

    def live_counts(self, state: State, sparsity: float) -> dict[str, int]:
        """Name → live weights of every prunable tensor at `sparsity`; exact in total.

        Raises UserError when not every tensor can keep one weight, or when the unique tensors of
        a sharing network cannot hold the total.
        """
        tensors = state.masks.parameters
        total = live_total(sparsity, state.dense_numel)
        caps = [p.numel() for p in tensors.values()]
        if total < len(caps):
            highest = math.floor((1 - len(caps) / state.dense_numel) * 1e9) / 1e9
            raise UserError(
                f"sparsity {sparsity} leaves {total} weights for {len(caps)} layers, and each "
                f"needs one. The highest sparsity this network can have is {highest:.9f} "
                "(SynFlow, which may empty layers, can go higher).",
                f"{type(self).__name__}.sparsity",
            )
        if total > sum(caps):
            lowest = math.ceil((1 - sum(caps) / state.dense_numel) * 1e9) / 1e9
            raise UserError(
                f"sparsity {sparsity} asks for {total} live weights, but the network, with shared "
                f"tensors counted once, stores {sum(caps)}. "
                f"Ask for at least {lowest:.9f}.",
                f"{type(self).__name__}.sparsity",
            )
        shares = [self.share(p.shape) for p in tensors.values()]
        return dict(zip(tensors, apportion(total, shares, caps), strict=True))

    def init_masks(self, state: State) -> None:
        for name, count in self.live_counts(state, self.sparsity).items():
            parameter = state.masks.parameters[name]
            index = random_subset(parameter.numel(), count, state.rng)
            state.set_live_(name, index.to(parameter.device))


@register("parts")
class ERK(Budget):
    """Erdős–Rényi-kernel: live_l ∝ the sum of the tensor's dimensions (out + in + kh + kw).

    A tensor that would exceed its size is dense, and the rest is divided among the others.
    Source: Evci et al. 2020, section 3; as ITOP's ERK initialisation has it.

    floor: share of the network's density that every tensor has at least, in (0, 1]; what that takes
        is spent on top of the budget and never paid back, so the measured sparsity is lower than
        the one asked for. None, the default, keeps to the budget. The public EAST code has floors
        of 0.6 and 0.7; this is here to show what they do. At 99.99 % they spend 5 % and 11 % too
        much of a ResNet-34 that shares weights (3 % and 8 % of one that does not), 15 % and 19 %
        (15 % and 20 %) of a ResNet-50.
    """

    def __init__(self, sparsity: float, floor: float | None = None):
        super().__init__(sparsity)
        require(
            floor is None or 0 < floor <= 1, self, "floor", floor,
            "a share of the density in (0, 1], or None for none",
        )  # fmt: skip
        self.floor = floor

    def share(self, shape: torch.Size) -> int:
        return sum(shape)

    def live_counts(self, state: State, sparsity: float) -> dict[str, int]:
        """As every budget's, exact in total; with a floor, that and what the floor adds."""
        counts = super().live_counts(state, sparsity)
        if self.floor is None:
            return counts
        sizes = {name: p.numel() for name, p in state.masks.parameters.items()}
        # Sharing leaves the same weights to fewer tensors: their density, not the original's.
        kept = (1 - Fraction(repr(float(sparsity)))) * state.dense_numel
        least = Fraction(repr(float(self.floor))) * kept / sum(sizes.values())
        return {n: max(c, min(math.ceil(least * sizes[n]), sizes[n])) for n, c in counts.items()}


@register("parts")
class EPL(Budget):
    """Equal per layer: every tensor keeps the same number of weights, as far as it has them.

    Source: Price & Tanner 2021, the published code's default for DCTpS.
    """

    def share(self, shape: torch.Size) -> int:
        return 1


@register("parts")
class Uniform(Budget):
    """Every tensor has the same sparsity: live_l ∝ its number of elements."""

    def share(self, shape: torch.Size) -> int:
        return shape.numel()
