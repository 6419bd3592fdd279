"""LiveRigL and LiveSET: exact counts, every weight on a path after an update, deterministic."""

import pytest
import torch
from helpers.connected import graph_and_places, new_state, off_path
from hypothesis import given, settings
from hypothesis import strategies as st

from dstbench.core.budgets import ERK
from dstbench.core.masks import flat
from dstbench.methods.connected import Connected, channel_graph
from dstbench.methods.live_growth import LiveRigL, LiveSET, between_paths
from dstbench.methods.rigl import RigL
from dstbench.models.resnet import SmallResNet34


def with_gradients(state):
    """Give every parameter a random gradient, and every live weight a random value."""
    for name, parameter in state.model.named_parameters():
        parameter.grad = torch.randn(parameter.shape)
        if name in state.masks:
            parameter.detach().copy_(torch.randn(parameter.shape) * state.masks[name])
    return state


@settings(max_examples=10, deadline=None)
@given(
    st.sampled_from([LiveRigL, LiveSET]),
    st.sampled_from([0.95, 0.99, 0.997]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 1000),
)
def test_every_weight_is_on_a_path_after_an_update(part, sparsity, shares, connected, seed):
    state = new_state(SmallResNet34, seed, shares)
    (Connected(ERK(sparsity)) if connected else ERK(sparsity)).init_masks(state)
    counts = with_gradients(state).masks.counts()
    part(updates_per_run=5).update(state, 0.3)
    assert state.masks.counts() == counts
    assert off_path(*graph_and_places(state)) == 0


def test_plain_rigl_cuts_paths():
    state = with_gradients(connected_state())
    RigL(updates_per_run=5).update(state, 0.3)
    assert off_path(*graph_and_places(state)) > 0


def connected_state(seed=0):
    state = new_state(SmallResNet34, seed)
    Connected(ERK(0.997)).init_masks(state)
    return state


@pytest.mark.parametrize("part", [LiveRigL, LiveSET])
def test_updates_depend_on_the_seed_alone(part):
    masks = []
    for seed in (3, 3, 4):
        torch.manual_seed(0)
        state = with_gradients(connected_state(seed))
        part(updates_per_run=5).update(state, 0.3)
        masks.append(state.masks)
    assert all(torch.equal(masks[0][n], masks[1][n]) for n in masks[0])
    assert not all(torch.equal(masks[0][n], masks[2][n]) for n in masks[0])


def test_off_path_weights_are_dropped_before_smaller_ones():
    state = new_state(SmallResNet34)
    ERK(0.99).init_masks(state)
    with_gradients(state)
    part = LiveRigL(updates_per_run=5)
    on = between_paths(state, channel_graph(part, state))
    name = max(state.masks, key=lambda n: int((~on[n][state.masks.index(n)]).sum()))
    index = state.masks.index(name)
    off = ~on[name][index]
    assert off.any() and not off.all()
    flat(state.masks.parameters[name])[index[off]] = 100.0  # the largest of all
    live = len(index)
    fraction = float(off.sum()) / live
    part.update(state, fraction)
    kept = torch.isin(index[off], state.masks.index(name))
    values = flat(state.masks.parameters[name])[index[off]]
    assert not (kept & (values != 0)).any()


def test_live_rigl_grows_the_largest_gradients_between_channels_on_paths():
    state = with_gradients(connected_state())
    part = LiveRigL(updates_per_run=5)
    allowed = between_paths(state, channel_graph(part, state))
    name = "stages.1.0.conv2.weight"
    before = state.masks.index(name)
    score = part.grow_score(state, name)
    part.update(state, 0.3)
    grown = state.masks.index(name)
    grown = grown[~torch.isin(grown, before)]
    chosen = score.masked_fill(~allowed[name], -1).masked_fill(flat(state.masks[name]), -1)
    stayed = grown[allowed[name][grown]]
    assert len(stayed) and score[stayed].min() >= chosen.max()
