"""The smallest difference between two means that the seeds of a column resolve."""

import math
from collections.abc import Sequence
from typing import NamedTuple

LEVEL, POWER = 0.05, 0.8


class Sample(NamedTuple):
    """The seeds of one cell.

    n: their number, at least 2.
    std: their standard deviation (ddof = 1), in percentage points.
    """

    n: int
    std: float


def smallest_difference(samples: Sequence[Sample]) -> float | None:
    """Return the minimum detectable difference of two means, percentage points.

    δ = (t(1 − α/2, ν) + t(power, ν)) · s · √(2/n), with s the pooled standard deviation within
    cells, ν its degrees of freedom Σ(nᵢ − 1), and n the harmonic mean of the nᵢ; α = 5 %,
    power = 80 %, for one pair without correction for several tests.

    Source: Zar, "Biostatistical Analysis", chapter 8, minimum detectable difference.

    samples: of the cells with at least two seeds; None for fewer than two such cells, or without
        any variance.
    """
    freedom = sum(sample.n - 1 for sample in samples)
    if len(samples) < 2 or not any(sample.std for sample in samples):
        return None
    from scipy.special import stdtrit  # Student's quantile, without the 0.5 s of scipy.stats

    variance = sum((sample.n - 1) * sample.std**2 for sample in samples) / freedom
    n = len(samples) / sum(1 / sample.n for sample in samples)
    quantiles = stdtrit(freedom, 1 - LEVEL / 2) + stdtrit(freedom, POWER)
    return float(quantiles * math.sqrt(variance) * math.sqrt(2 / n))
