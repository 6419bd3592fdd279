"""SNFS: momentum of dense gradients; its mean divides growth among layers, its size within them."""

import pytest
import torch
from helpers.tiny_runs import go, resumed, started, through_a_file, tiny_resnet
from helpers.two_layers import live_of, two_layers
from hypothesis import given, settings
from hypothesis import strategies as st

from dstbench.config.registry import lookup
from dstbench.core.budgets import ERK, Uniform
from dstbench.core.masks import flat
from dstbench.errors import UserError
from dstbench.methods.snfs import SNFS


def snfs(**chosen):
    return SNFS(**{"drop_fraction": 0.5, "updates_per_run": 4, **chosen})


def remember(state, first, second):
    """Set the momentum of both layers."""
    for name, values in zip(state.masks, (first, second), strict=True):
        state.memory[f"snfs_momentum/{name}"] = torch.tensor([float(v) for v in values])
    return state


def test_snfs_is_registered():
    assert lookup("SNFS") is SNFS and SNFS.moves_masks and SNFS.redistributes


def test_snfs_averages_dense_gradients():
    state = two_layers(range(1, 9), range(1, 9))
    part = snfs(momentum=0.75)
    for values in ([4.0] * 8, [0.0] * 4 + [8.0] * 4):
        for parameter in state.masks.parameters.values():
            parameter.grad = torch.tensor([values])
        part.after_backward(state)
    momentum = state.memory["snfs_momentum/0.weight"]
    assert momentum.tolist() == [0.75] * 4 + [2.75] * 4  # dead weights have a momentum, too


def test_snfs_moves_weights_to_the_layer_of_the_larger_momentum():
    state = two_layers([5, 1, -4, 2, 0, 0, 0, 0], [5, 1, -4, 2, 0, 0, 0, 0])
    # means over live weights 3 and 1: of 4 dropped weights, 3 grow in the first layer
    remember(state, [3, -3, 3, 3, 9, 8, 0, -7], [1, -1, 1, 1, 0, 5, 9, 0])
    snfs().update(state, 0.5)
    assert live_of(state) == [{0, 2, 4, 5, 7}, {0, 2, 6}]


def test_snfs_grows_what_it_dropped_if_its_momentum_is_largest():
    state = two_layers([5, 1, -4, 2, 0, 0, 0, 0], [5, 1, -4, 2, 0, 0, 0, 0])
    remember(state, [0, 9, 0, 0, 1, 2, 0, 0], [0, 0, 0, 9, 1, 2, 0, 0])
    snfs().update(state, 0.5)
    assert live_of(state) == [{0, 1, 2, 5}, {0, 2, 3, 5}]


def test_snfs_fills_other_layers_when_one_is_full():
    state = two_layers(range(1, 9), range(1, 9), live=range(6))
    remember(state, [9] * 8, [0] * 8)
    snfs().update(state, 0.5)  # 6 dropped; the first layer has room for 5
    assert [len(live) for live in live_of(state)] == [8, 4]


def test_snfs_spares_a_nearly_full_layer_that_needs_weights():
    state = two_layers(range(1, 9), range(1, 9), live=range(7))  # 12.5 % sparse
    remember(state, [3] * 8, [1] * 8)
    snfs().update(state, 0.5)
    first, second = live_of(state)
    assert len(first) == 8 and len(second) == 6  # 1 of 7 dropped, and 4 of 7


def test_snfs_divides_equally_without_momentum():
    state = two_layers([5, 1, -4, 2, 0, 0, 0, 0], [5, 1, -4, 2, 0, 0, 0, 0])
    snfs().update(state, 0.5)
    assert [len(live) for live in live_of(state)] == [4, 4]


def test_snfs_keeps_the_mask_of_a_frozen_layer():
    state = two_layers(range(1, 9), range(1, 9))
    state.masks.parameters["0.weight"].requires_grad_(False)
    remember(state, [9] * 8, [1] * 8)
    snfs().update(state, 0.5)
    first, second = live_of(state)
    assert first == {0, 1, 2, 3} and len(second) == 4


def test_snfs_needs_dense_gradients_until_its_last_update():
    part = snfs()  # after steps 25, 50 and 75
    needed = [step for step in range(1, 101) if part.needs_dense_gradients(step, 100)]
    assert needed == list(range(1, 76))
    assert needed == [s for s in range(1, 101) if part.requires_dense_gradients(s, 100)]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.1, 0.9, 0.98]), st.floats(0, 1))
def test_snfs_keeps_the_total_and_no_layer_is_emptied(seed, sparsity, fraction):
    _, state = started(tiny_resnet(seed=seed), [Uniform(sparsity), snfs()], seed=seed)
    total = state.masks.total()
    for parameter in state.masks.parameters.values():
        parameter.grad = torch.randn(parameter.shape) * torch.rand(())
    part = snfs()
    part.after_backward(state)
    part.update(state, fraction)
    assert state.masks.total() == total and min(state.masks.counts().values()) >= 1
    for name, mask in state.masks.items():
        assert not flat(state.masks.parameters[name])[~flat(mask)].any()


def test_snfs_resumes_exactly():
    def parts():
        return [ERK(0.9), snfs(update_interval=4)]

    method, state = started(tiny_resnet(), parts(), 20)
    files = []
    go(method, state, each=lambda s: files.append(through_a_file(s)) if s.step == 9 else None)
    again, other = resumed(tiny_resnet(seed=3), parts(), files[0], 20)
    go(again, other)
    assert live_of(state) == live_of(other)
    for name, value in state.memory.items():
        assert torch.equal(value, other.memory[name]), name


def test_snfs_refuses_settings_out_of_range():
    with pytest.raises(UserError, match=r"SNFS.momentum = 1: must be in \[0, 1\)"):
        snfs(momentum=1)
