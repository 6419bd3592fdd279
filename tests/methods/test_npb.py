"""NPB: exact counts, every weight on a path of channels, more channels in use than at random."""

from functools import partial

import numpy as np
import pytest
import torch
from helpers.connected import graph_and_places, new_state, off_path
from helpers.tiny_runs import started, tiny_resnet
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dstbench.core.budgets import EPL, ERK
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods.npb import NPB, _projections
from dstbench.methods.rigl import RigL
from dstbench.models.resnet import ResNet20


@settings(max_examples=6)
@given(
    st.sampled_from([ERK, EPL]),
    st.sampled_from([0.5, 0.9, 0.98]),
    st.booleans(),
    st.integers(0, 1000),
)
def test_npb_has_exactly_the_weights_asked_for_all_on_paths(budget, sparsity, shares, seed):
    state = new_state(partial(ResNet20, width=4), seed, shares)
    of = budget(sparsity)
    NPB(of).init_masks(state)
    assert state.masks.total() == sum(of.live_counts(state, sparsity).values())
    assert off_path(*graph_and_places(state)) == 0


def channels_in_use(state):
    masks = [mask.reshape(*mask.shape[:2], -1).any(2) for mask in state.masks.values()]
    return sum(int(m.any(0).sum() + m.any(1).sum()) for m in masks)


def test_npb_uses_more_channels_than_random_masks_of_the_same_counts():
    chosen, random = new_state(ResNet20), new_state(ResNet20)
    NPB(ERK(0.98), alpha=0.99).init_masks(chosen)
    ERK(0.98).init_masks(random)
    assert channels_in_use(chosen) > channels_in_use(random)


def test_limit_of_a_kernel_falls_after_each_projection():
    """9, 7 and 5, as in the authors' code."""
    state = new_state(partial(ResNet20, width=4))
    NPB(ERK(0.7), beta=0.0).init_masks(state)
    most = {n: int(m.flatten(2).sum(2).max()) for n, m in state.masks.items() if m.dim() == 4}
    by_block = [
        most[f"stages.{stage}.{block}.conv2.weight"] for stage in range(3) for block in range(3)
    ]
    assert by_block == [9, 9, 9, 9, 7, 7, 7, 5, 5]


def test_projections_are_the_convolutions_of_shortcuts():
    graph, _ = graph_and_places(new_state(ResNet20))
    found = _projections(graph)
    names = [use.tensor for use in graph.uses if use.step in found]
    assert names == ["stages.1.0.shortcut.0.weight", "stages.2.0.shortcut.0.weight"]


def test_large_layers_are_solved_in_chunks_of_outputs():
    """96 × 32 kernels and 70 weights: each chunk of 32 outputs has a third of them."""
    part = NPB(ERK(0.9), alpha=1.0)
    paths, rng = np.ones(32), np.random.default_rng(0)
    counts = part._solution(paths, 96, 70, 9, rng)
    assert [int(counts[i : i + 32].sum()) for i in (0, 32, 64)] == [23, 23, 24]
    assert part._solution(paths, 64, 70, 9, rng).any(0).all()  # not divided: 32 inputs first
    assert part._solution(paths, 96, 2, 9, rng).sum() == 2


def test_npb_reads_no_weights_and_depends_on_the_seed_alone():
    _, state = started(tiny_resnet(), [NPB(ERK(0.9))])
    scaled = tiny_resnet().to(memory_format=torch.channels_last)
    with torch.no_grad():
        for weight in scaled.parameters():
            weight.mul_(torch.rand(weight.shape))
    _, same = started(scaled, [NPB(ERK(0.9))])
    _, other = started(tiny_resnet(), [NPB(ERK(0.9))], seed=1)
    assert all(torch.equal(state.masks[n], same.masks[n]) for n in state.masks)
    assert not all(torch.equal(state.masks[n], other.masks[n]) for n in state.masks)


def test_a_layer_that_no_forward_pass_uses_keeps_its_count():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4, bias=False), nn.Linear(4, 2, bias=False))
    model[1].unused = nn.Linear(8, 8, bias=False)
    state = State(model, (4, 1, 1), 0, 10)
    NPB(EPL(0.9)).init_masks(state)
    assert state.masks.counts() == EPL(0.9).live_counts(state, 0.9)


@pytest.mark.parametrize("setting", [{"alpha": 1.1}, {"beta": -1}, {"per_kernel": 0}, {"chunk": 0}])
def test_npb_refuses_settings_out_of_range(setting):
    with pytest.raises(UserError, match=f"NPB.{next(iter(setting))}"):
        NPB(ERK(0.9), **setting)


def test_npb_needs_a_budget():
    with pytest.raises(UserError, match=r"NPB.of = @RigL\(\)"):
        NPB(RigL(updates_per_run=3))


def test_npb_refuses_paths_beyond_counting():
    layers = [nn.Linear(100, 100, bias=False) for _ in range(160)]
    state = State(nn.Sequential(nn.Flatten(), *layers), (100, 1, 1), 0, 10)
    with pytest.raises(UserError, match="too many paths"):
        NPB(EPL(0.0)).init_masks(state)
