"""How often the test of `dstbench compare` decides, and after how many pairs: a simulation.

    python benchmarks/sequential_test.py

Differences are drawn from a normal distribution with standard deviation 1, except in the rows that
name another one; the test is looked at after every pair.
"""

import numpy as np

from dstbench.statistics.symmetry_test import THRESHOLD, evidence

COMPARISONS, PAIRS, AT = 2000, 100, 20


def normal(effect: float) -> np.ndarray:
    return np.random.default_rng(0).normal(effect, 1, (PAIRS, COMPARISONS))


def coarse() -> np.ndarray:
    """Differences of two equal methods on 360 test images: many ties, few values."""
    rng = np.random.default_rng(0)
    a, b = rng.binomial(360, 0.97, (2, PAIRS, COMPARISONS))
    return (a - b) / 3.6


def collapsing() -> np.ndarray:
    """Differences of two equal methods that collapse in 30 % of their runs."""
    rng = np.random.default_rng(0)
    shape = (2, PAIRS, COMPARISONS)
    a, b = np.where(rng.uniform(size=shape) < 0.3, 10.0, rng.normal(60, 1, shape))
    return a - b


def main() -> None:
    rows = {
        "no difference": normal(0),
        "no difference, 360 images": coarse(),
        "no difference, collapsing": collapsing(),
        **{f"{effect:g} standard deviations": normal(effect) for effect in (0.5, 1, 2)},
    }
    print(f"{'':<28}decided: within {AT}, within {PAIRS}; pairs: mean (of {PAIRS}), median")
    for name, differences in rows.items():
        reached = evidence(differences).total >= THRESHOLD
        pairs = np.where(reached.any(axis=0), reached.argmax(axis=0) + 1, PAIRS)
        print(
            f"{name:<28}{reached[:AT].any(axis=0).mean():>16.1%}{reached.any(axis=0).mean():>12.1%}"
            f"{pairs.mean():>20.1f}{np.median(pairs):>8.0f}"
        )


if __name__ == "__main__":
    main()
