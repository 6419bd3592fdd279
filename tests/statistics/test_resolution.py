"""The smallest resolvable difference: what a simulated t-test detects with 80 % power."""

import numpy as np
import pytest
from scipy import stats

from dstbench.statistics.resolution import Sample, smallest_difference


def test_smallest_difference_is_the_published_formula():
    found = smallest_difference([Sample(5, 2.0), Sample(5, 2.0)])
    quantiles = stats.t.ppf(0.975, 8) + stats.t.ppf(0.8, 8)
    assert found == pytest.approx(quantiles * 2.0 * np.sqrt(2 / 5))


def test_smallest_difference_is_detected_with_the_stated_power():
    rng = np.random.default_rng(0)
    difference = smallest_difference([Sample(10, 1.0), Sample(10, 1.0)])
    a, b = rng.normal(difference, 1, (4000, 10)), rng.normal(0, 1, (4000, 10))
    assert np.mean(stats.ttest_ind(a, b, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.03)


def test_smallest_difference_uses_pooled_variance_and_harmonic_mean():
    pooled = smallest_difference([Sample(3, 1.0), Sample(6, 2.0)])
    std = np.sqrt((2 * 1.0 + 5 * 4.0) / 7)
    quantiles = stats.t.ppf(0.975, 7) + stats.t.ppf(0.8, 7)
    assert pooled == pytest.approx(quantiles * std * np.sqrt(2 / 4))


def test_smallest_difference_needs_two_cells_and_variance():
    assert smallest_difference([]) is None
    assert smallest_difference([Sample(3, 1.0)]) is None
    assert smallest_difference([Sample(3, 0.0), Sample(3, 0.0)]) is None
