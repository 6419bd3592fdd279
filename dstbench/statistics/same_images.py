"""Two networks on the same images: is one right more often, and by how much?

Answers for these two networks, as drawn with their seeds, and for images like these: not for the
methods that trained them. Other seeds would give other networks.
"""

from dataclasses import dataclass

import numpy as np

_RESAMPLES = 10_000
_LEVEL = 0.05


@dataclass(frozen=True)
class ImageComparison:
    """A's and B's predictions of the same n images, compared.

    images: n.
    only_a, only_b: number of images that only A, or only B, classifies correctly.
    difference: A's accuracy minus B's, percentage points.
    interval: 95 % bootstrap interval of the difference, percentage points.
    p: of the exact McNemar test, two-sided.
    """

    images: int
    only_a: int
    only_b: int
    difference: float
    interval: tuple[float, float]
    p: float


def compare_predictions(a: np.ndarray, b: np.ndarray, labels: np.ndarray) -> ImageComparison:
    """Return the comparison of two networks.

    a, b, labels: class indices of the same images, (n,).

    Raises ValueError when: their lengths differ, or there are no images.
    """
    a, b, labels = np.asarray(a), np.asarray(b), np.asarray(labels)
    if not len(labels) or not len(a) == len(b) == len(labels):
        raise ValueError(f"{len(a)} and {len(b)} predictions of {len(labels)} images")
    right_a, right_b = a == labels, b == labels
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return ImageComparison(
        images=len(labels),
        only_a=only_a,
        only_b=only_b,
        difference=100 * (only_a - only_b) / len(labels),
        interval=bootstrap_interval(only_a, only_b, len(labels)),
        p=mcnemar(only_a, only_b),
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Return p of the exact McNemar test, two-sided: a binomial test of the discordant images.

    Source: McNemar, Psychometrika 12, 1947; recommended for two classifiers on one test set by
    Dietterich, Neural Computation 10, 1998.
    """
    if only_a + only_b == 0:
        return 1.0
    from scipy.stats import binomtest  # takes 0.5 s

    return float(binomtest(only_a, only_a + only_b, 0.5).pvalue)


def bootstrap_interval(only_a: int, only_b: int, images: int) -> tuple[float, float]:
    """Return the 95 % percentile interval of the accuracy difference, percentage points.

    Images are resampled with replacement (Efron & Tibshirani, "An Introduction to the Bootstrap",
    1993, chapter 13). The difference depends on three counts only, so these are drawn: multinomial.
    The same counts give the same interval.
    """
    fractions = np.array([only_a, only_b, images - only_a - only_b]) / images
    drawn = np.random.default_rng(0).multinomial(images, fractions, size=_RESAMPLES)
    differences = 100 * (drawn[:, 0] - drawn[:, 1]) / images
    low, high = np.quantile(differences, [_LEVEL / 2, 1 - _LEVEL / 2])
    return float(low), float(high)
