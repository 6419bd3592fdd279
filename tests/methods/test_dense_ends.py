"""DenseEnds: the first and last layer dense, the total exact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstbench.core.budgets import EPL, ERK, Uniform
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods.dense_ends import DenseEnds
from dstbench.sparsity import live_total

SIZES = [3 * 8 * 9, 8 * 16 * 9, 16 * 16, 16 * 5]  # of small_net: 216, 1152, 256, 80; 1704 in all


def counts(small_net, budget, sparsity):
    state = State(small_net(), (3, 8, 8), 0, 10)
    return [*budget.live_counts(state, sparsity).values()]


def test_uniform_rest_has_one_density(small_net):
    """Half of 1704 is 852; 556 are left for the 1408 weights in between: 39.5 % of each."""
    assert counts(small_net, DenseEnds(Uniform(0.5)), 0.5) == [216, 455, 101, 80]


def test_equal_rest_has_equal_counts(small_net):
    assert counts(small_net, DenseEnds(EPL(0.8)), 0.8) == [216, 23, 22, 80]


@given(st.floats(0, 0.82), st.sampled_from([ERK, EPL, Uniform]))
def test_total_is_exact_and_ends_are_dense(small_net, sparsity, budget):
    found = counts(small_net, DenseEnds(budget(sparsity)), sparsity)
    assert sum(found) == live_total(sparsity, sum(SIZES))
    assert [found[0], found[-1]] == [SIZES[0], SIZES[-1]]
    assert all(1 <= count <= size for count, size in zip(found, SIZES, strict=True))


def test_sparsity_that_the_ends_exceed_is_refused(small_net):
    with pytest.raises(UserError, match="first and the last layer have 296"):
        counts(small_net, DenseEnds(Uniform(0.9)), 0.9)


def test_first_masks_have_its_counts(small_net):
    state = State(small_net(), (3, 8, 8), 0, 10)
    DenseEnds(Uniform(0.5)).init_masks(state)
    assert [*state.masks.counts().values()] == [216, 455, 101, 80]
