"""MagnitudeAtInit: the largest initial weights, whatever their layer."""

import torch
from helpers.pruned_at_init import linear, live_of, pruned
from hypothesis import given
from hypothesis import strategies as st

from dstbench.methods.magnitude_at_init import MagnitudeAtInit

ONE = [(torch.ones(1, 1, 1, 2), torch.zeros(1, dtype=torch.int64))]


def test_largest_magnitudes_by_hand():
    state = pruned(MagnitudeAtInit(0.5), linear([[1.0, -3.0], [-2.0, 0.5]]), ONE)
    assert live_of(state).tolist() == [False, True, True, False]


@given(st.integers(0, 999), st.floats(0, 0.95))
def test_no_pruned_weight_is_larger_than_a_live_one(seed, sparsity):
    model = linear(torch.randn(6, 8, generator=torch.Generator().manual_seed(seed)).tolist())
    magnitude = model[1].weight.detach().abs().view(-1).clone()
    live = live_of(pruned(MagnitudeAtInit(sparsity), model, ONE))
    if not live.all():
        assert magnitude[live].min() >= magnitude[~live].max()


def test_no_images_are_read():
    state = pruned(MagnitudeAtInit(0.5), linear([[1.0, 2.0], [3.0, 4.0]]), ONE)
    assert len(list(state.batches)) == 1
