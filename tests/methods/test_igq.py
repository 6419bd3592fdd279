"""IGQ: quotas n / (F·n + 1) by hand, exact totals, and counts that only grow."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dstbench.core.layer_densities import LayerDensities
from dstbench.core.state import State
from dstbench.methods.igq import IGQ
from dstbench.models.resnet import ResNet34

sizes = st.lists(st.integers(1, 500), min_size=1, max_size=6)


def divide(total, sizes):
    return IGQ(0.5).divide(total, [torch.Size([n]) for n in sizes])


def one_by_one(total, sizes):
    """Assign seat after seat, each at the largest force n / (F·n + 1) = seat − ½ allows."""
    seats = [1] * len(sizes)
    while sum(seats) < total:
        force = [1 / (s + 0.5) - 1 / n if s < n else -1 for s, n in zip(seats, sizes, strict=True)]
        best = max(force)
        # equal forces may differ in their last digit: the first tensor has the seat
        seats[next(i for i, f in enumerate(force) if f > best - 1e-12)] += 1
    return seats


@pytest.mark.parametrize(
    "total, sizes, counts",
    [
        (110, [10, 10_000], [9, 101]),  # F = 0.00981: 9.1 and 100.9
        (30, [20, 20, 20], [10, 10, 10]),  # F = 1/20
        (40, [15, 60, 10_000], [8, 14, 18]),  # F = 0.0556: 8.2, 13.9 and 18.0
        (3, [5, 50, 500], [1, 1, 1]),
        (555, [5, 50, 500], [5, 50, 500]),
        (4, [5, 5, 5], [2, 1, 1]),
    ],
)
def test_quotas_by_hand(total, sizes, counts):
    assert divide(total, sizes) == counts


@given(sizes, st.data())
def test_seats_are_assigned_by_falling_force(sizes, data):
    total = data.draw(st.integers(len(sizes), sum(sizes)))
    assert divide(total, sizes) == one_by_one(total, sizes)


@given(sizes, st.data())
def test_total_is_exact_and_no_count_falls_when_it_rises(sizes, data):
    total = data.draw(st.integers(len(sizes), sum(sizes)))
    counts = divide(total, sizes)
    assert sum(counts) == total
    assert all(1 <= count <= n for count, n in zip(counts, sizes, strict=True))
    if total > len(sizes):
        fewer = divide(total - 1, sizes)
        assert sorted(a - b for a, b in zip(counts, fewer, strict=True)) == [0] * (
            len(sizes) - 1
        ) + [1]


@pytest.mark.parametrize("sparsity", [0.5, 0.9, 0.99, 0.999])
def test_counts_are_the_quotas_of_one_force(sparsity):
    """As in the public code, whose bisection of F stops within one weight of the sum."""
    with torch.device("meta"):
        state = State(ResNet34(10), (3, 32, 32), 0, 100)
    counts = IGQ(sparsity).live_counts(state, sparsity)
    sizes = {name: p.numel() for name, p in state.masks.parameters.items()}
    low, high = 0.0, 1.0
    for _ in range(100):
        force = (low + high) / 2
        more = sum(n / (force * n + 1) for n in sizes.values()) > sum(counts.values())
        low, high = (force, high) if more else (low, force)
    assert max(abs(counts[name] - n / (high * n + 1)) for name, n in sizes.items()) < 1


def test_masks_have_the_counts():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 10), nn.Linear(10, 4))
    state = State(model, (3, 2, 2), 0, 10)
    IGQ(0.5).init_masks(state)
    assert state.masks.counts() == IGQ(0.5).live_counts(state, 0.5)
    assert state.masks.total() == 80


def test_layers_of_their_own_density_leave_the_rest_to_the_quotas():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 10), nn.Linear(10, 4), nn.Linear(4, 2))
    state = State(model, (3, 2, 2), 0, 10)
    LayerDensities(IGQ(0.5), {"last": 1.0}).init_masks(state)
    first, second, last = state.masks.counts().values()
    assert last == 8 and [first, second] == divide(84 - 8, [120, 40])
