"""Divides a whole number among tensors in proportion, exactly: the Sainte-Laguë method."""

import heapq
from fractions import Fraction


def apportion(total: int, weights: list[int], caps: list[int], least: int = 1) -> list[int]:
    """Divide `total` seats in proportion to `weights`, by the Sainte-Laguë method.

    Seat a+1 of a tensor has priority weight/(2a+1). Seats are assigned by priority, ties to the
    first tensor.

    total: seats (live weights) to divide.
    weights: proportions, one positive integer per tensor.
    caps: most seats of each tensor.
    least: fewest seats of each tensor, 0 or 1.

    Raises ValueError: when `total` is too low or too high for that.
    """
    if not least * len(weights) <= total <= sum(caps):
        raise ValueError(f"{total} seats for {len(weights)} tensors of {sum(caps)} elements")

    def seats_at(scale: float) -> list[int]:
        return [
            min(max(int(w * scale + 0.5), least), c) for w, c in zip(weights, caps, strict=True)
        ]  # every seat of priority above 1/(2·scale)

    low, high = 0.0, 1.0
    while sum(seats_at(high)) < total:
        low, high = high, 2 * high
    for _ in range(80):  # bisect for the largest scale that assigns too few seats
        middle = (low + high) / 2
        low, high = (middle, high) if sum(seats_at(middle)) < total else (low, middle)
    # A margin below it, so that rounding assigns no seat early; the rest is assigned one by one.
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
