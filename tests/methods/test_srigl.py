"""SRigL: an equal fan-in of active channels, exact counts, ablation of what is not salient."""

import pytest
import torch
from helpers.tiny_runs import go, resumed, started, through_a_file, tiny_resnet
from helpers.two_layers import live_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dstbench.config.registry import lookup
from dstbench.core.budgets import ERK, Uniform
from dstbench.core.masks import flat
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods.set import SET
from dstbench.methods.srigl import ConstantFanIn, SRigL


def srigl(**chosen):
    return SRigL(**{"update_interval": 1, **chosen})


def fan_ins(state, name):
    """Return the live weights of each output channel."""
    mask = state.masks[name]
    return mask.reshape(len(mask), -1).sum(1).tolist()


def four_channels(weights, gradients, last=False, seed=0):
    """Return a State whose first layer has four channels of four weights; live where not zero.

    last: whether it is the only masked layer.
    """
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 2, bias=False))
    state = State(model, (1, 1, 4), seed, 100)
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor(weights))
    model[0].weight.grad = torch.tensor(gradients)
    state.set_live_("0.weight", flat(model[0].weight).nonzero().view(-1))
    if not last:
        model[1].weight.grad = torch.zeros(2, 4)
        state.set_live_("1.weight", torch.arange(8))
    return state


WEIGHTS = [[8.0, -7, 0, 0], [6, -5, 0, 0], [4, 3, 0, 0], [0.2, 0.1, 0, 0]]
GRADIENTS = [[0.0, 0, 9, 0], [0, 0, 0, -8], [0, 0, 1, 2], [3, 4, 5, 6]]


def channels(state):
    """Return the live inputs of each channel of the first layer."""
    return [set(row.nonzero().view(-1).tolist()) for row in state.masks["0.weight"]]


def test_srigl_is_registered():
    assert lookup("SRigL") is SRigL and lookup("ConstantFanIn") is ConstantFanIn


@pytest.mark.parametrize("scale", [1.0, 1e-10])
@pytest.mark.parametrize("seed", range(5))
def test_srigl_ablates_a_channel_and_divides_its_weights(seed, scale):
    """Salient are the 6 largest weights and 2 largest gradients: 3, 3, 2 and 0 of each channel."""
    weights = [[scale * w for w in row] for row in WEIGHTS]
    state = four_channels(weights, GRADIENTS, seed=seed)
    srigl(salient=1.0).update(state, 0.25)
    assert channels(state) == [{0, 1, 2}, {0, 1, 3}, {0, 1}, set()]


def test_srigl_does_not_ablate_the_last_layer():
    state = four_channels(WEIGHTS, GRADIENTS, last=True)
    srigl(salient=1.0).update(state, 0.25)
    assert channels(state) == [{0, 1}, {0, 1}, {0, 1}, {2, 3}]


def test_srigl_revives_an_ablated_channel_by_its_gradients():
    gradients = [[0.0] * 4, [0.0] * 4, [0.0] * 4, [0.0, 9, 8, 0]]
    weights = [[8.0, 7, 6, 0], [5, 4, 0.1, 0], [3, 0.2, 0, 0], [0.0] * 4]
    state = four_channels(weights, gradients)
    srigl(salient=0.5).update(state, 0.25)  # salient: 3, 2, 1 and 2
    assert channels(state)[0] == {0, 1} and channels(state)[3] == {1, 2}
    assert fan_ins(state, "0.weight") == [2, 2, 2, 2]


def test_srigl_keeps_the_largest_of_a_channel_that_has_too_many():
    weights = [[5.0, 6, 7, 8], [1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]]
    state = four_channels(weights, [[0.0] * 4] * 4)
    srigl(salient=0.0).update(state, 0.0)
    assert channels(state)[0] == {2, 3} and fan_ins(state, "0.weight") == [2, 2, 2, 2]


def test_srigl_leaves_channels_enough_for_the_weights_of_the_layer():
    """However few are salient, 8 weights need 2 channels of 4; the code has one more."""
    weights = [[9.0, 8, 7, 6], [5, 4, 3, 0], [0.1, 0, 0, 0], [0, 0, 0, 0]]
    state = four_channels(weights, [[0.0] * 4] * 4)
    srigl(salient=2.0).update(state, 0.0)
    assert [bool(c) for c in channels(state)] == [True, True, True, False]
    assert sorted(fan_ins(state, "0.weight")) == [0, 2, 3, 3]


def test_srigl_keeps_a_frozen_layer_and_a_dense_one():
    state = four_channels(WEIGHTS, GRADIENTS)
    state.masks.parameters["0.weight"].requires_grad_(False)
    srigl().update(state, 0.25)
    assert channels(state) == [{0, 1}] * 4 and fan_ins(state, "1.weight") == [4, 4]


def test_srigl_with_targets_keeps_to_them():
    state = four_channels(WEIGHTS, GRADIENTS, last=True)
    srigl().update(state, 0.0, {"0.weight": 12})
    assert fan_ins(state, "0.weight") == [3, 3, 3, 3]


def test_srigl_divides_fewer_weights_than_channels():
    state = four_channels([[0.0, 2, 0, 0], [0.0] * 4, [0, 0, 3, 0], [0.0] * 4], [[0.0] * 4] * 4)
    srigl().update(state, 0.0)
    assert channels(state) == [{1}, set(), {2}, set()]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.1, 0.9, 0.98]), st.floats(0, 1), st.floats(0, 2))
def test_srigl_has_equal_fan_ins_and_exact_counts(seed, sparsity, fraction, salient):
    _, state = started(tiny_resnet(seed=seed), [Uniform(sparsity), srigl()], seed=seed)
    counts = state.masks.counts()
    for parameter in state.masks.parameters.values():
        parameter.grad = torch.randn(parameter.shape)
    srigl(salient=salient).update(state, fraction)
    assert state.masks.counts() == counts
    for name, mask in state.masks.items():
        active = [count for count in fan_ins(state, name) if count]
        assert max(active) - min(active) <= 1
        assert not flat(state.masks.parameters[name])[~flat(mask)].any()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.1, 0.9, 0.98]))
def test_constant_fan_in_has_the_budgets_counts(seed, sparsity):
    part, budget = ConstantFanIn(Uniform(sparsity)), Uniform(sparsity)
    _, state = started(tiny_resnet(), [part, SET(updates_per_run=2)], seed=seed)
    assert state.masks.counts() == budget.live_counts(state, sparsity)
    for name in state.masks:
        each = fan_ins(state, name)
        assert max(each) - min(each) <= 1


def test_constant_fan_in_chooses_at_random():
    masks = [started(tiny_resnet(), [ConstantFanIn(ERK(0.9))], seed=s)[1].masks for s in (0, 0, 1)]
    assert all(torch.equal(masks[0][n], masks[1][n]) for n in masks[0])
    assert not all(torch.equal(masks[0][n], masks[2][n]) for n in masks[0])


def test_srigl_resumes_exactly():
    def parts():
        return [ConstantFanIn(ERK(0.9)), srigl(update_interval=4)]

    method, state = started(tiny_resnet(), parts(), 20)
    files = []
    go(method, state, each=lambda s: files.append(through_a_file(s)) if s.step == 9 else None)
    again, other = resumed(tiny_resnet(seed=3), parts(), files[0], 20)
    go(again, other)
    assert live_of(state) == live_of(other)


def test_srigl_refuses_settings_out_of_range():
    with pytest.raises(UserError, match=r"SRigL\.salient = -1: must be at least 0"):
        srigl(salient=-1)
    with pytest.raises(UserError, match=r"ConstantFanIn\.of = @SET"):
        ConstantFanIn(SET(updates_per_run=2))
