"""DSR: one threshold for all layers, growth in proportion to survivors, a threshold that adapts."""

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
from dstbench.methods.dsr import DSR, THRESHOLD


def dsr(**chosen):
    return DSR(drop_fraction=0.25, **{"updates_per_run": 4, **chosen})


def test_dsr_is_registered():
    assert lookup("DSR") is DSR and DSR.moves_masks and DSR.redistributes


@pytest.mark.parametrize("seed", range(5))
def test_dsr_drops_below_the_threshold_and_grows_where_most_survive(seed):
    state = two_layers(
        [5, 0.4, -3, 4, 0, 0, 0, 0],  # one of four is dropped, three survive
        [0.1, -0.2, 0.3, 2, 0, 0, 0, 0],  # three are dropped, one survives
        seed=seed,
    )
    dsr(threshold=0.5).update(state, 0.25)
    first, second = live_of(state)
    assert {0, 2, 3} < first and len(first) == 6  # 4 grow: 3 in the first layer, 1 in the second
    assert 3 in second and len(second) == 2
    assert not first & {1} and not second & {0, 1, 2}  # what was just dropped does not grow


@pytest.mark.parametrize(
    "threshold, after",
    [
        (0.001, 0.002),  # none of the 8 dropped, 2 meant
        (1.5, 0.75),  # 3 dropped
        (0.5, 0.5),  # 2 dropped
    ],
)
def test_dsr_threshold_adapts(threshold, after):
    state = two_layers([5, 0.1, 3, 4, 0, 0, 0, 0], [1, 6, 0.2, 2, 0, 0, 0, 0])
    dsr(threshold=threshold).update(state, 0.25)
    assert float(state.memory[THRESHOLD]) == after


def test_dsr_threshold_stays_within_the_tolerance():
    for tolerance, after in ((0.4, 0.75), (0.6, 1.5)):  # 3 dropped are 50 % more than 2
        state = two_layers([5, 0.1, 3, 4, 0, 0, 0, 0], [1, 6, 0.2, 2, 0, 0, 0, 0])
        dsr(threshold=1.5, tolerance=tolerance).update(state, 0.25)
        assert float(state.memory[THRESHOLD]) == after


def test_dsr_leaves_a_layer_its_largest_weight():
    state = two_layers([1, 2, 3, 4, 0, 0, 0, 0], [9, 9, 9, 9, 0, 0, 0, 0])
    dsr(threshold=5).update(state, 0.25)
    first, second = live_of(state)
    assert 3 in first and not first & {0, 1, 2}
    assert len(first) + len(second) == 8 and second >= {0, 1, 2, 3}


def test_dsr_regrows_what_it_dropped_where_nothing_else_is_free():
    state = two_layers(range(1, 9), range(1, 9), live=range(8))
    dsr(threshold=4.5).update(state, 0.25)
    assert live_of(state) == [set(range(8))] * 2


def test_dsr_keeps_the_mask_of_a_frozen_layer():
    state = two_layers([0.1] * 8, [0.1, 5, 5, 5, 0, 0, 0, 0])
    state.masks.parameters["0.weight"].requires_grad_(False)
    dsr(threshold=1).update(state, 0.25)
    first, second = live_of(state)
    assert first == set(range(4)) and len(second) == 4 and 0 not in second


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.3, 0.9, 0.98]), st.floats(1e-4, 10))
def test_dsr_keeps_the_total_and_no_layer_is_emptied(seed, sparsity, threshold):
    _, state = started(tiny_resnet(seed=seed), [Uniform(sparsity), dsr()], seed=seed)
    total = state.masks.total()
    dsr(threshold=threshold).update(state, 0.25)
    assert state.masks.total() == total and min(state.masks.counts().values()) >= 1
    for name, mask in state.masks.items():
        assert not flat(state.masks.parameters[name])[~flat(mask)].any()


def test_dsr_needs_no_dense_gradients():
    part = dsr()
    assert not any(part.requires_dense_gradients(step, 100) for step in range(1, 101))


def test_dsr_resumes_exactly():
    def parts():
        return [ERK(0.9), dsr(update_interval=2)]

    method, state = started(tiny_resnet(), parts(), 20)
    files = []
    go(method, state, each=lambda s: files.append(through_a_file(s)) if s.step == 9 else None)
    again, other = resumed(tiny_resnet(seed=3), parts(), files[0], 20)
    go(again, other)
    assert live_of(state) == live_of(other)
    assert torch.equal(state.memory[THRESHOLD], other.memory[THRESHOLD])
    assert float(state.memory[THRESHOLD]) != 0.001


def test_dsr_with_targets_keeps_to_them():
    state = two_layers(range(1, 9), range(1, 9))
    dsr(threshold=100).update(state, 0.0, {"0.weight": 6, "1.weight": 2})
    first, second = live_of(state)
    assert len(first) == 6 and second == {2, 3} and first >= {0, 1, 2, 3}


@pytest.mark.parametrize(
    "refused, message",
    [({"threshold": 0}, "DSR.threshold"), ({"tolerance": 1}, "DSR.tolerance")],
)
def test_dsr_refuses_settings_out_of_range(refused, message):
    with pytest.raises(UserError, match=message):
        dsr(**refused)
