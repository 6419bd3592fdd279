"""Two networks on the same images: exact McNemar test and bootstrap interval."""

import numpy as np
import pytest
from scipy import stats

from dstbench.statistics.same_images import bootstrap_interval, compare_predictions, mcnemar


def predictions(rng, labels, accuracy):
    wrong = rng.uniform(size=len(labels)) >= accuracy
    return np.where(wrong, (labels + 1) % 10, labels)


def test_discordant_images_are_counted():
    found = compare_predictions([0, 1, 2, 3, 9], [0, 1, 0, 0, 4], [0, 1, 2, 3, 4])
    assert (found.images, found.only_a, found.only_b) == (5, 2, 1)
    assert found.difference == pytest.approx(20.0)
    assert found.p == 1.0


def test_mcnemar_is_the_two_sided_binomial_test():
    assert mcnemar(3, 12) == pytest.approx(2 * stats.binom.cdf(3, 15, 0.5))
    assert mcnemar(0, 0) == 1.0 and mcnemar(7, 7) == 1.0


def test_equal_networks_do_not_differ():
    labels = np.arange(100) % 10
    found = compare_predictions(labels, labels, labels)
    assert (found.p, found.difference, found.interval) == (1.0, 0.0, (0.0, 0.0))


def test_bootstrap_interval_agrees_with_resampled_images():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 2000)
    a, b = predictions(rng, labels, 0.9), predictions(rng, labels, 0.87)
    found = compare_predictions(a, b, labels)
    gain = 100.0 * ((a == labels).astype(int) - (b == labels))
    drawn = gain[rng.integers(0, len(gain), (2000, len(gain)))].mean(axis=1)
    np.testing.assert_allclose(found.interval, np.quantile(drawn, [0.025, 0.975]), atol=0.2)
    assert found.interval[0] < found.difference < found.interval[1]


def test_bootstrap_interval_is_the_same_on_every_call():
    assert bootstrap_interval(30, 20, 360) == bootstrap_interval(30, 20, 360)


def test_predictions_of_other_numbers_of_images_are_refused():
    with pytest.raises(ValueError):
        compare_predictions([0, 1], [0], [0])
    with pytest.raises(ValueError):
        compare_predictions([], [], [])
