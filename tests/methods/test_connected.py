"""Connected and LimitedFanIn: exact counts, every weight on a path of channels, deterministic."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.connected import IMAGE, graph_and_places, new_state, off_path
from hypothesis import given, settings
from hypothesis import strategies as st

from dstbench.core.budgets import EPL, ERK
from dstbench.errors import UserError
from dstbench.graph.connect import connect
from dstbench.methods.connected import Connected, LimitedFanIn
from dstbench.methods.dyrelu import DyReLUPhasing
from dstbench.methods.rigl import RigL
from dstbench.metrics.live_paths import find_live_paths
from dstbench.models.resnet import ResNet20, ResNet34, SmallResNet34


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([Connected, LimitedFanIn]),
    st.sampled_from([ERK, EPL]),
    st.sampled_from([0.9, 0.99, 0.997]),
    st.booleans(),
    st.integers(0, 1000),
)
def test_connected_masks_have_the_budgets_counts_and_no_weight_off_a_path(
    part, budget, sparsity, shares, seed
):
    state = new_state(SmallResNet34, seed, shares)
    of = budget(sparsity)
    part(of).init_masks(state)
    assert state.masks.counts() == of.live_counts(state, sparsity)
    assert off_path(*graph_and_places(state)) == 0


@pytest.mark.parametrize("part", [Connected, LimitedFanIn])
def test_dyrelu_is_an_activation_of_its_channel_for_paths(part):
    plain, dynamic = new_state(SmallResNet34), new_state(SmallResNet34)
    DyReLUPhasing().surgery(dynamic)
    for state in (plain, dynamic):
        part(ERK(0.99)).init_masks(state)
    assert all(torch.equal(plain.masks[name], dynamic.masks[name]) for name in plain.masks)


def test_random_mask_of_the_same_counts_has_weights_off_paths():
    state = new_state(SmallResNet34)
    ERK(0.997).init_masks(state)
    assert off_path(*graph_and_places(state)) > 100


def test_connecting_connected_masks_moves_nothing():
    state = new_state(SmallResNet34)
    Connected(ERK(0.997)).init_masks(state)
    graph, places = graph_and_places(state)
    again = connect(graph, places, np.random.default_rng(1))
    assert all((again[name] == places[name]).all() for name in places)


def test_connected_masks_depend_on_the_seed_alone():
    first, same, other = (new_state(ResNet20, seed) for seed in (3, 3, 4))
    for state in (first, same, other):
        LimitedFanIn(ERK(0.98)).init_masks(state)
    assert all(torch.equal(first.masks[n], same.masks[n]) for n in first.masks)
    assert not all(torch.equal(first.masks[n], other.masks[n]) for n in first.masks)


@pytest.mark.slow
def test_limited_fan_in_of_a_resnet34_at_9999_has_all_weights_on_paths_of_pixels():
    state = new_state(ResNet34)
    LimitedFanIn(ERK(0.9999)).init_masks(state)
    assert state.masks.total() == 2127
    assert find_live_paths(state.model, state.masks, IMAGE).fraction == 1
    weight = state.masks["stages.1.1.conv2.weight"]
    rows = weight.flatten(1).any(1).sum()
    assert 2 <= weight.sum() / rows <= 8  # about four inputs


def test_what_is_no_budget_is_refused():
    with pytest.raises(UserError, match=r"LimitedFanIn.of = @RigL\(\)"):
        LimitedFanIn(RigL(updates_per_run=3))


UNUSED = """
from torch import nn
from dstbench.core.budgets import ERK
from dstbench.core.state import State
from dstbench.methods.connected import Connected

model = nn.Sequential(nn.Flatten(), nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 10))
for name in "abcd":
    setattr(model[0], name, nn.Linear(9, 9))
state = State(model, (12, 1, 1), 0, 10)
Connected(ERK(0.5)).init_masks(state)
print([state.masks.index(name).tolist() for name in state.masks])
"""


@pytest.mark.slow
def test_masks_do_not_depend_on_the_hash_seed_of_the_process():
    """Tensors that no forward pass uses draw their masks in the model's order."""
    outputs = [
        subprocess.run(
            [sys.executable, "-c", UNUSED],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "123"
    ]
    assert len(set(outputs)) == 1 and outputs[0].count("[") == 7
