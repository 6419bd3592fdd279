"""A sparsity: how many live weights it means, and how it is printed; standard library only."""

from fractions import Fraction
from functools import cache


@cache  # a leaderboard asks ten thousand times
def live_total(sparsity: float, dense_numel: int) -> int:
    """round((1 − sparsity) · dense_numel), exact in the digits that `sparsity` is written with."""
    return round((1 - Fraction(repr(float(sparsity)))) * dense_numel)


def percent(share: float) -> str:
    """As it is printed everywhere, with as many nines as it has: 0.9995 → 99.95 %."""
    return f"{100 * share:.6f}".rstrip("0").rstrip(".") + " %"
