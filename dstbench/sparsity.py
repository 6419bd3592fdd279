"""Sparsity as a number of live weights, and as text; standard library only."""

import math
from fractions import Fraction
from functools import cache

# Largest fraction of a network's weights that may be of a kind that is not pruned, unless a run
# sets another; tables mark the results beyond it.
UNPRUNED_FRACTION = 0.05


def density(sparsity: float) -> Fraction:
    """Return 1 − sparsity, exact in the decimal digits of the sparsity."""
    return 1 - Fraction(repr(float(sparsity)))


@cache  # a leaderboard calls it ten thousand times
def live_total(sparsity: float, dense_numel: int) -> int:
    """Return the live weights at a sparsity: round((1 − sparsity) · dense_numel).

    sparsity: fraction of weights removed, in [0, 1]; exact in its decimal digits.
    dense_numel: prunable weights of the original network.
    """
    return round(density(sparsity) * dense_numel)


def highest_sparsity(live: int, dense_numel: int) -> float:
    """Return the highest sparsity of nine digits that leaves at least so many live weights."""
    return math.floor((1 - live / dense_numel) * 1e9) / 1e9


def lowest_sparsity(live: int, dense_numel: int) -> float:
    """Return the lowest sparsity of nine digits that leaves at most so many live weights."""
    return math.ceil((1 - live / dense_numel) * 1e9) / 1e9


def percent(fraction: float) -> str:
    """Return a fraction in percent with all its digits: 0.9995 → "99.95 %"."""
    return f"{100 * fraction:.6f}".rstrip("0").rstrip(".") + " %"
