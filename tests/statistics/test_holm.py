"""Holm's correction keeps the order, and controls the family-wise error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstbench.statistics.holm import holm


@given(st.lists(st.floats(0, 1) | st.none(), max_size=8))
def test_holm_keeps_order_and_is_at_most_one(ps):
    adjusted = holm(ps)
    known = [(p, a) for p, a in zip(ps, adjusted, strict=True) if p is not None]
    assert [a is None for a in adjusted] == [p is None for p in ps]
    assert all(p <= a <= 1 for p, a in known)
    assert sorted(known) == sorted(known, key=lambda pair: (pair[1], pair[0]))  # order is kept
    if known:
        smallest = min(p for p, _ in known)
        assert min(a for _, a in known) == pytest.approx(min(1.0, len(known) * smallest))


def test_holm_controls_the_family_wise_error():
    rng = np.random.default_rng(0)
    false = sum(min(a for a in holm([*rng.uniform(size=10)])) < 0.05 for _ in range(2000))
    assert false / 2000 < 0.065
