"""Pruning by magnitude: the counts of layers, and the weights that stay."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dstbench.core.budgets import ERK, Uniform
from dstbench.core.masks import flat
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods.global_magnitude import (
    GlobalMagnitude,
    keep_largest_,
    make_all_live_,
    refuse_other_sparsity,
    stored_fraction,
)
from dstbench.sparsity import live_total


@pytest.fixture
def two():
    """A State with two layers of four weights: magnitudes 8, 1, 7, 6 and 5, 2, 4, 3."""
    model = nn.Sequential(nn.Linear(4, 1, bias=False), nn.Linear(1, 4, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[8.0, -1, 7, -6]]))
        model[1].weight.copy_(torch.tensor([[5.0], [-2], [-4], [3]]))
    return State(model, (1, 1, 4), 0, 10)


@pytest.mark.parametrize(
    "sparsity, counts",
    [(0.0, [4, 4]), (0.25, [3, 3]), (0.5, [3, 1]), (0.625, [3, 0]), (0.875, [1, 0])],
)
def test_global_magnitude_counts_the_largest_of_all_layers(two, sparsity, counts):
    assert [*GlobalMagnitude().live_counts(two, sparsity).values()] == counts


def test_keep_largest_keeps_the_globally_largest(two):
    keep_largest_(two, GlobalMagnitude().live_counts(two, 0.5))
    assert flat(two.model[0].weight).tolist() == [8, 0, 7, -6]
    assert flat(two.model[1].weight).tolist() == [5, 0, 0, 0]
    assert two.masks.counts() == {"0.weight": 3, "1.weight": 1}


def test_only_live_weights_are_candidates(two):
    """A live weight of zero comes before a dead one."""
    two.set_live_("0.weight", torch.tensor([1, 3]))
    with torch.no_grad():
        two.model[0].weight[0, 1] = 0.0
    assert [*GlobalMagnitude().live_counts(two, 0.25).values()] == [2, 4]
    with pytest.raises(UserError, match="among the 6 that are live"):
        GlobalMagnitude().live_counts(two, 0.1)
    with pytest.raises(UserError, match="asks for 0 live weights"):
        GlobalMagnitude().live_counts(two, 0.99)


def test_tensors_without_a_mask_that_keep_all_have_none(two):
    keep_largest_(two, {"0.weight": 4, "1.weight": 2})
    assert [*two.masks] == ["1.weight"] and two.masks.index("1.weight").tolist() == [0, 2]
    make_all_live_(two)
    assert two.masks.counts() == {"0.weight": 4, "1.weight": 4}
    assert flat(two.model[1].weight).tolist() == [5, 0, -4, 0]


@given(st.floats(0, 0.99), st.floats(0, 0.99), st.integers(0, 5))
def test_pruning_twice_is_exact_and_nested(small_net, one, other, seed):
    state = State(small_net(seed), (3, 8, 8), 0, 10)
    before = None
    for sparsity in sorted((one, other)):
        total = live_total(sparsity, state.dense_numel)
        counts = GlobalMagnitude().live_counts(state, sparsity)
        keep_largest_(state, counts)
        assert sum(counts.values()) == state.masks.total() == total
        assert state.masks.counts() == counts
        for name, mask in state.masks.items():
            assert not state.masks.parameters[name][~mask].any()
        weights = state.masks.parameters
        live = {n: weights[n] != 0 for n in weights}
        assert before is None or all((live[n] <= before[n]).all() for n in live)
        before = live
        dead = [w[~live[n]] for n, w in small_net(seed).named_parameters() if n in live]
        kept = torch.cat([weights[n][live[n]].abs() for n in live])
        assert not sum(map(len, dead)) or kept.min() >= torch.cat(dead).abs().max()


@pytest.mark.parametrize("budget", [ERK, Uniform])
def test_part_with_another_sparsity_than_its_budget_is_refused(budget):
    refuse_other_sparsity(ERK(0.9), budget(0.9))
    refuse_other_sparsity(ERK(0.9), GlobalMagnitude())
    with pytest.raises(UserError, match=f"{budget.__name__}.sparsity = 0.8"):
        refuse_other_sparsity(ERK(0.9), budget(0.8))


def test_stored_fraction_counts_shared_tensors_once(two):
    assert stored_fraction(two) == 1
    two.dense_numel = 16
    assert stored_fraction(two) == 0.5
