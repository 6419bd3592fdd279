"""SET: drops smallest magnitudes, grows at random."""

from collections import Counter

import torch
from scipy.stats import chisquare

from dstbench.config.registry import lookup
from dstbench.methods.set import SET


def test_set_is_registered():
    assert lookup("SET") is SET and SET.moves_masks


def test_set_drops_smallest_magnitudes_of_both_signs(eight):
    for seed in range(20):
        state = eight([5, -1, 3, -4, 0, 0, 0, 0], live=range(4), seed=seed)
        SET(updates_per_run=2).update(state, 0.5)
        live = set(state.masks.index("weight").tolist())
        assert {0, 3} <= live and len(live) == 4


def test_set_grows_free_weights_uniformly(eight):
    grown = Counter()
    for seed in range(1200):
        state = eight([5, 1, 4, 3, 0, 0, 0, 0], live=range(4), seed=seed)
        SET(updates_per_run=2).update(state, 0.25)
        grown.update(set(state.masks.index("weight").tolist()) - {0, 2, 3})
    assert set(grown) == {1, 4, 5, 6, 7} and sum(grown.values()) == 1200
    assert chisquare(list(grown.values())).pvalue > 1e-6


def test_set_ignores_gradients(eight):
    def live(gradient):
        state = eight([5, 1, 4, 3, 0, 0, 0, 0], live=range(4), seed=1)
        state.model.weight.grad = gradient
        SET(updates_per_run=2).update(state, 0.5)
        return state.masks.index("weight").tolist()

    nan = torch.full((1, 8), torch.nan)
    assert live(None) == live(nan) == live(torch.arange(8.0).view(1, 8))
