"""IGQ: ideal gas quotas, a budget between equal counts and equal densities.

Vysogorets and Kempe 2021, "Connectivity matters: neural network pruning through the lens of
effective sparsity", and the public code of its authors.
"""

import heapq
from collections.abc import Sequence
from fractions import Fraction

import torch

from dstbench.config.registry import register
from dstbench.core.budgets import ByShape


@register("parts")
class IGQ(ByShape):
    """Ideal gas quotas: one force F compresses every tensor, from n weights to n / (F·n + 1).

    A tensor's density is 1 / (F·n + 1): small tensors stay nearly dense, large ones tend to the
    same number of live weights, 1/F. No tensor needs a cap.

    Counts are the quotas rounded, at least one each, for the F at which they sum to the total:
    seat a+1 of a tensor is assigned at F = 1/(a + ½) − 1/n, ties to the first tensor. So no
    tensor's count falls when the total rises. Published code leaves a sum that is off by up to one
    weight in each layer.

    sparsity: fraction removed of the original network's prunable weights, in [0, 1).
    """

    def divide(self, total: int, shapes: Sequence[torch.Size]) -> list[int]:
        sizes = [shape.numel() for shape in shapes]

        def seats_at(force: float) -> list[int]:
            return [max(1, int(n / (force * n + 1) + 0.5)) for n in sizes]

        low, high = 0.0, 1.0  # all weights, one weight each
        for _ in range(100):  # bisect for the smallest force that assigns at most the total
            middle = (low + high) / 2
            low, high = (low, middle) if sum(seats_at(middle)) <= total else (middle, high)
        # One less each, so that rounding assigns no seat early; the rest is assigned one by one.
        seats = [max(1, count - 1) for count in seats_at(high)]
        heap = [(-_force(s, n), i) for i, (s, n) in enumerate(zip(seats, sizes, strict=True))]
        heapq.heapify(heap)
        for _ in range(total - sum(seats)):
            _, i = heapq.heappop(heap)
            seats[i] += 1
            heapq.heappush(heap, (-_force(seats[i], sizes[i]), i))
        return seats


def _force(seats: int, size: int) -> Fraction:
    """Return the force at which a tensor of `seats` live weights gets one more; below 0: never."""
    return Fraction(2, 2 * seats + 1) - Fraction(1, size)
