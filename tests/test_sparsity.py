"""Sparsity as a number of live weights, and as text."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstbench.sparsity import density, highest_sparsity, live_total, lowest_sparsity, percent

networks = st.integers(1, 10**8).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n)))


@given(networks)
def test_highest_sparsity_leaves_the_weights_and_lowest_no_more(network):
    live, dense = network
    assert live_total(highest_sparsity(live, dense), dense) >= live
    assert live_total(lowest_sparsity(live, dense), dense) <= live


def test_density_is_exact_in_decimal_digits():
    assert density(0.9) == Fraction(1, 10) and live_total(0.9, 45) == 4  # 4.5 rounds to even
    assert live_total(0.9999, 21_265_088) == 2127


@pytest.mark.parametrize(
    "fraction, text", [(0.9995, "99.95 %"), (0, "0 %"), (1, "100 %"), (0.1234567, "12.34567 %")]
)
def test_percent_has_all_digits(fraction, text):
    assert percent(fraction) == text
