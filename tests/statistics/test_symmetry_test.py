"""The sequential test: no more than 5 % false decisions when looked at after every pair."""

import numpy as np
import pytest

from dstbench.statistics.symmetry_test import (
    FEWEST_PAIRS,
    LEVEL,
    THRESHOLD,
    decide,
    evidence,
    interval,
)

PAIRS = 40
COMPARISONS = 2000


def rounded(values, images=360):
    """Return accuracies that a number of test images allows; many differences are equal."""
    return np.round(values * images / 100) * 100 / images


def collapsing(rng, shape):
    return np.where(rng.uniform(size=shape) < 0.3, 10.0, rng.normal(60, 1, shape))


NULLS = {
    "normal": lambda rng, shape: rng.normal(90, 0.3, shape),
    "coarse": lambda rng, shape: rounded(rng.normal(97, 0.4, shape)),
    "heavy tails": lambda rng, shape: 50 + rng.standard_t(1.5, shape),
    "skewed": lambda rng, shape: 95 - rng.exponential(2, shape),
    "collapsing": collapsing,
    "equal": lambda rng, shape: np.full(shape, 10.0),
}


@pytest.mark.parametrize("null", NULLS)
def test_false_decisions_are_at_most_the_level_with_a_look_after_every_pair(null):
    rng = np.random.default_rng(1)
    a, b = (NULLS[null](rng, (PAIRS, COMPARISONS)) for _ in range(2))
    shared = rng.normal(0, 5, (PAIRS, COMPARISONS)) * (null == "normal")  # part of the seed
    decided = (evidence((a + shared) - (b + shared)).total >= THRESHOLD).any(axis=0)
    assert decided.mean() <= LEVEL


def test_large_effects_are_decided_within_few_pairs():
    """Expected pairs at 0.5, 1 and 2 standard deviations of the differences."""
    rng = np.random.default_rng(2)
    for effect, expected in ((0.5, 48), (1, 15), (2, 8.5)):
        differences = rng.normal(effect, 1, (120, 500))
        reached = evidence(differences).total >= THRESHOLD
        pairs = np.where(reached.any(axis=0), reached.argmax(axis=0) + 1, 120)
        assert pairs.mean() < expected


def test_decision_needs_the_fewest_pairs():
    clear = np.full(20, 5.0)
    assert decide(clear[: FEWEST_PAIRS - 1]) is None
    found = decide(clear)
    assert FEWEST_PAIRS <= found.pairs <= 8 and found.sign == 1
    assert decide(-clear) == found._replace(sign=-1)


def test_decision_stays_that_of_the_first_crossing():
    found = decide([3.0] * 8 + [-3.0] * 30)
    assert found == decide([3.0] * 8)


def test_evidence_does_not_depend_on_the_unit():
    differences = np.random.default_rng(3).normal(0.4, 1, 20)
    np.testing.assert_allclose(evidence(differences).total, evidence(1e-3 * differences).total)


def test_evidence_ignores_pairs_without_difference():
    assert evidence([0.0, 0.0, 0.0]).total.tolist() == [1, 1, 1]
    assert evidence([0.0, 1.0, 0.0, 2.0]).total[-1] == evidence([1.0, 2.0]).total[-1]


def test_bet_does_not_use_the_sign_it_is_on():
    """Over both signs of the last difference, the wealth is a martingale."""
    for last in (0.1, 1.0, 50.0):
        before = evidence([1.0, -2.0, 3.0])
        up, down = (evidence([1.0, -2.0, 3.0, sign * last]) for sign in (1, -1))
        assert (up.positive[-1] + down.positive[-1]) / 2 == pytest.approx(before.positive[-1])
        assert (up.negative[-1] + down.negative[-1]) / 2 == pytest.approx(before.negative[-1])


def test_interval_excludes_zero_when_the_test_decides():
    differences = np.random.default_rng(4).normal(2.0, 1.0, 12)
    low, high = interval(differences)
    assert decide(differences).sign == 1 and 0 < low < 2.0 < high < 100


def test_interval_is_everything_before_a_decision_is_possible():
    assert interval([1.0, 2.0, 1.5]) == (-100, 100)


def test_interval_has_the_centres_that_are_not_refused():
    differences = np.random.default_rng(5).normal(1.0, 1.0, 12)
    low, high = interval(differences)
    for centre, inside in ((low + 0.01, True), (high - 0.01, True), (low - 0.5, False)):
        assert (evidence(differences - centre).total < THRESHOLD).all() == inside


def test_interval_is_none_without_a_common_centre():
    assert interval([10.0] * 12 + [-10.0] * 12) is None
