"""Unfired: what was never live grows first, then other dead weights at random."""

from collections import Counter

from dstbench.config.registry import lookup
from dstbench.methods.unfired import Unfired


def unfired():
    return Unfired(updates_per_run=2)


def test_unfired_is_registered():
    assert lookup("Unfired") is Unfired and Unfired.moves_masks


def test_unfired_lets_every_weight_live_before_one_lives_again(eight):
    for seed in range(10):
        state = eight([5, 4, 1, 2, 0, 0, 0, 0], live=range(4), seed=seed)
        unfired().update(state, 0.5)
        first = set(state.masks.index("weight").tolist())
        assert {0, 1} < first and first - {0, 1} < {4, 5, 6, 7}
        unfired().update(state, 0.5)  # those that grew are zero, so they are dropped
        assert set(state.masks.index("weight").tolist()) == {0, 1, 4, 5, 6, 7} - (first - {0, 1})


def test_unfired_grows_dead_weights_at_random_when_all_were_live(eight):
    grown = Counter()
    for seed in range(200):
        state = eight([5, 4, 1, 2, 0, 0, 0, 0], live=range(4), seed=seed)
        state.memory["ever_live/weight"][:7] = True  # one is left, and two grow
        unfired().update(state, 0.5)
        live = set(state.masks.index("weight").tolist())
        assert {0, 1, 7} < live and len(live) == 4
        grown.update(live - {0, 1, 7})
    assert set(grown) == {2, 3, 4, 5, 6} and min(grown.values()) > 15


def test_unfired_needs_no_dense_gradients():
    assert not any(unfired().requires_dense_gradients(step, 100) for step in range(1, 101))
