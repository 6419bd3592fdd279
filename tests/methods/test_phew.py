"""PHEW: exact counts, masks that the walks meet in order, initial values kept."""

from functools import partial

import pytest
import torch
from helpers.connected import IMAGE, graph_and_places, new_state, off_path
from helpers.tiny_runs import started, tiny_resnet
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dstbench.core.budgets import ERK
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods.phew import PHEW
from dstbench.metrics.live_paths import find_live_paths
from dstbench.models.resnet import ResNet20, SmallResNet34
from dstbench.sparsity import live_total


@settings(max_examples=6)
@given(st.floats(0.7, 0.999), st.booleans(), st.integers(0, 1000))
def test_phew_has_exactly_the_weights_asked_for_and_only_the_last_walk_is_cut(
    sparsity, shares, seed
):
    state = new_state(partial(ResNet20, width=4), seed, shares)
    PHEW(sparsity).init_masks(state)
    assert state.masks.total() == live_total(sparsity, state.dense_numel)
    graph, places = graph_and_places(state)
    assert off_path(graph, places) < len(graph.uses)


def test_phew_meets_every_path_of_a_chain_once_and_cuts_the_last_walk():
    """1 → 1 → 1, two walks: the first is the whole chain, or, of one weight, its first."""
    for target, expected in ((3, [1, 1, 1]), (2, [1, 1, 0]), (1, [1, 0, 0])):
        model = nn.Sequential(nn.Flatten(), *(nn.Linear(1, 1, bias=False) for _ in range(3)))
        state = State(model, (1, 1, 1), 0, 10)
        PHEW(1 - target / 3).init_masks(state)
        assert list(state.masks.counts().values()) == expected


def test_phew_prefers_large_weights():
    state = new_state(ResNet20)
    initial = {n: p.detach().abs().clone() for n, p in state.masks.parameters.items()}
    PHEW(0.95).init_masks(state)
    for name, mask in state.masks.items():
        if mask.float().mean() < 0.5:
            assert initial[name][mask].mean() > 1.1 * initial[name].mean(), name


def test_phew_keeps_initial_values_and_depends_on_seed_and_weights_alone():
    _, state = started(tiny_resnet(), [PHEW(0.9)])
    initial = dict(tiny_resnet().named_parameters())
    for name, mask in state.masks.items():
        weight = state.masks.parameters[name]
        assert torch.equal(weight[mask], initial[name][mask]) and not weight[~mask].any()
    last = tiny_resnet().to(memory_format=torch.channels_last)
    _, same = started(last, [PHEW(0.9)])
    _, other = started(tiny_resnet(), [PHEW(0.9)], seed=1)
    assert all(torch.equal(state.masks[n], same.masks[n]) for n in state.masks)
    assert not all(torch.equal(state.masks[n], other.masks[n]) for n in state.masks)


def test_phew_leaves_most_weights_on_paths_of_pixels_at_extreme_sparsity():
    """A path of channels may lead out of a small plane: single positions move it at each layer."""
    state, random = new_state(SmallResNet34), new_state(SmallResNet34)
    PHEW(0.999).init_masks(state)
    ERK(0.999).init_masks(random)
    found, lost = (find_live_paths(s.model, s.masks, IMAGE).fraction for s in (state, random))
    assert found > 0.5 and lost < 0.1


def test_phew_refuses_what_walks_do_not_meet():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4, bias=False), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.eye(4))
    state = State(model, (4, 1, 1), 0, 10)
    with pytest.raises(UserError, match="walks meet no more than") as error:
        PHEW(0.0).init_masks(state)
    assert error.value.binding == "PHEW.sparsity"


@pytest.mark.parametrize("sparsity", [1.0, -0.1])
def test_phew_refuses_sparsity_out_of_range(sparsity):
    with pytest.raises(UserError, match=r"PHEW\.sparsity"):
        PHEW(sparsity)


def test_phew_refuses_layers_that_it_does_not_know():
    model = nn.Sequential(nn.Conv2d(4, 4, 1, groups=2), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(UserError, match=r"PHEW: .*groups"):
        PHEW(0.5).init_masks(State(model, (4, 1, 1), 0, 10))
