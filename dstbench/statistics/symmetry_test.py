"""A sequential test of whether paired differences are symmetric about zero.

If neither of two methods is ahead, swapping them within a pair changes nothing: given its size, a
difference is positive or negative with probability 1/2. A bettor stakes a fraction of his wealth on
the sign of the next difference. Under this hypothesis his wealth is a nonnegative martingale that
starts at 1, so it ever reaches 1/α with probability at most α (Ville's inequality). The test may
therefore be looked at after every pair, and stopped at any time. It needs no normal distribution
and no common variance: ties in accuracy and collapsed runs do not invalidate it.

Sources: Ramdas, Ruf, Larsson & Koolen, "Admissible anytime-valid sequential inference must rely on
nonnegative martingales", arXiv:2009.03167 (symmetric distributions); Waudby-Smith & Ramdas,
"Estimating means of bounded random variables by betting", JRSS B 2024, arXiv:2010.09686 (betting,
mixtures of bets); Ramdas, Grünwald, Vovk & Shafer, "Game-theoretic statistics and safe anytime-
valid inference", Statistical Science 2023, arXiv:2210.01948 (e-processes).
"""

from typing import NamedTuple

import numpy as np

LEVEL = 0.05
THRESHOLD = 1 / LEVEL  # of the evidence
# The bet on a normal difference of mean μ and standard deviation σ that grows fastest is
# tanh(μ·|d|/σ²). These strengths are its μ·median|d|/σ² for μ/σ of about 0.5, 1 and 2.
# assumed: three strengths with equal weights; by simulation the expected number of pairs hardly
# changes with other sets.
STRENGTHS = np.array([0.4, 1.0, 4.0])
FEWEST_PAIRS = 6  # evidence is at most 2ⁿ⁻¹ after n pairs
_CENTRES = 20_001  # tried for the interval: one every 0.01 percentage points


class Evidence(NamedTuple):
    """Wealth of the bettors on either sign after each pair; both start at 1.

    positive, negative: (n, ...), e-processes against symmetry about zero.
    """

    positive: np.ndarray
    negative: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """Evidence against symmetry, (n, ...): half of the wealth is bet on either sign."""
        return (self.positive + self.negative) / 2


class Decision(NamedTuple):
    """When the evidence reached the threshold.

    pairs: number of pairs by then.
    sign: 1 if the differences are positive, -1 if they are negative.
    """

    pairs: int
    sign: int


def evidence(differences: np.ndarray) -> Evidence:
    """Return the evidence after each pair.

    differences: (n, ...), one row a pair; further axes are separate comparisons. A difference of
        zero changes nothing.
    """
    differences = np.asarray(differences, dtype=float)
    sizes, shape = np.abs(differences), (len(STRENGTHS), *differences.shape[1:])
    strengths = STRENGTHS.reshape(-1, *[1] * (differences.ndim - 1))
    wealth = {sign: np.ones(shape) for sign in (1, -1)}
    totals: dict[int, list[np.ndarray]] = {1: [], -1: []}
    for i, difference in enumerate(differences):
        # A bet may depend on all sizes so far, this pair's included, but not on this pair's sign.
        stake = np.tanh(strengths * sizes[i] / _median_size(sizes[: i + 1])) * np.sign(difference)
        for sign in (1, -1):
            wealth[sign] = wealth[sign] * (1 + sign * stake)
            totals[sign].append(wealth[sign].mean(axis=0))
    return Evidence(*(np.array(totals[sign]).reshape(differences.shape) for sign in (1, -1)))


def decide(differences: np.ndarray) -> Decision | None:
    """Return the decision on one comparison, at the first pair that allows it; None without one.

    differences: (n,).

    If the methods do not differ, there is ever a decision with probability at most LEVEL.
    """
    found = evidence(differences)
    reached = np.flatnonzero(found.total >= THRESHOLD)
    if not len(reached):
        return None
    first = int(reached[0])
    return Decision(first + 1, 1 if found.positive[first] > found.negative[first] else -1)


def interval(differences: np.ndarray) -> tuple[float, float] | None:
    """Return a 95 % interval for the centre of symmetry, valid after every pair.

    differences: (n,), percentage points, in [-100, 100].

    It has all centres that no look so far has refused; (-100, 100) while all are possible, and None
    if none is left, as it may happen when the centre is not constant.
    """
    centres = np.linspace(-100, 100, _CENTRES)
    shifted = np.asarray(differences, dtype=float)[:, None] - centres
    possible = centres[(evidence(shifted).total < THRESHOLD).all(axis=0)]
    return (float(possible[0]), float(possible[-1])) if len(possible) else None


def _median_size(sizes: np.ndarray) -> np.ndarray:
    """Return the median over pairs of the sizes above zero, (...); 1 where there are none.

    sizes: (n, ...), absolute differences. The lower of two middle values is used.
    """
    ordered = np.sort(np.where(sizes > 0, sizes, np.inf), axis=0)
    middle = np.maximum((sizes > 0).sum(axis=0) - 1, 0) // 2
    median = np.take_along_axis(ordered, middle[None], axis=0)[0]
    return np.where(np.isfinite(median), median, 1.0)
