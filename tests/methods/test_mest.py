"""MEST: weight and gradient decide what drops; the soft bound grows on top of the budget."""

import pytest
import torch
from helpers.tiny_runs import go, resumed, started, through_a_file, tiny_resnet
from helpers.two_layers import live_of
from hypothesis import given, settings
from hypothesis import strategies as st

from dstbench.config.registry import lookup
from dstbench.core.budgets import ERK, Uniform
from dstbench.core.schedules import Piecewise
from dstbench.errors import UserError
from dstbench.methods.mest import MEST, SoftMEST


def mest(**chosen):
    return MEST(**{"drop_fraction": 0.5, "updates_per_run": 4, **chosen})


def soft(**chosen):
    return SoftMEST(**{"sparsity": 0.9, "drop_fraction": 0.5, "updates_per_run": 8, **chosen})


def test_mest_is_registered():
    assert lookup("MEST") is MEST and lookup("SoftMEST") is SoftMEST
    assert not MEST.dense_to_sparse and SoftMEST.dense_to_sparse


@pytest.mark.parametrize(
    "weight, kept",
    [(0, {0, 3}), (1, {0, 1}), (0.5, {0, 3}), (0.7, {0, 1})],  # |w| 5 1 3 4; |gradient| 0 5 0 ½
)
def test_mest_drops_the_lowest_sum_of_weight_and_gradient(eight, weight, kept):
    for seed in range(10):
        state = eight([5, -1, 3, -4, 0, 0, 0, 0], live=range(4), seed=seed)
        state.model.weight.grad = torch.tensor([[0.0, -5, 0, 0.5, 9, 9, 9, 9]])
        mest(gradient_weight=weight).update(state, 0.5)
        live = set(state.masks.index("weight").tolist())
        assert kept <= live and len(live) == 4


def test_mest_reads_live_gradients_alone(eight):
    state = eight([5, -1, 3, -4, 0, 0, 0, 0], live=range(4))
    state.masks.live_gradients["weight"] = torch.tensor([0.0, -5, 0, 0.5])
    mest().update(state, 0.5)
    assert {0, 1} <= set(state.masks.index("weight").tolist())
    for part in (mest(), soft()):
        assert not any(part.requires_dense_gradients(step, 100) for step in range(1, 101))


def test_mest_without_gradients_drops_by_magnitude(eight):
    state = eight([5, -1, 3, -4, 0, 0, 0, 0], live=range(4))
    mest().update(state, 0.5)
    assert {0, 3} <= set(state.masks.index("weight").tolist())


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.3, 0.9, 0.98]), st.floats(0, 1))
def test_mest_keeps_every_count(seed, sparsity, fraction):
    _, state = started(tiny_resnet(seed=seed), [Uniform(sparsity), mest()], seed=seed)
    counts = state.masks.counts()
    for parameter in state.masks.parameters.values():
        parameter.grad = torch.randn(parameter.shape)
    mest().update(state, fraction)
    assert state.masks.counts() == counts


def test_mest_soft_grows_on_top_of_the_budget_and_returns_to_it():
    part = soft(drop_fraction=Piecewise([0.5, 0.25], [0.5]), update_until=0.8)
    method, state = started(tiny_resnet(), [Uniform(0.9), part], 40)  # updates every 5 steps
    seen = {}
    go(method, state, each=lambda s: seen.__setitem__(s.step, s.masks.counts()))
    for step, counts in seen.items():
        sparsity = 0.85 if 5 <= step < 20 else 0.875 if 20 <= step < 32 else 0.9
        assert counts == Uniform(sparsity).live_counts(state, sparsity), step
    assert part.final_structure_step(40) == 32


def test_mest_soft_returns_to_the_budget_between_two_updates():
    part = soft(update_interval=4, update_until=0.75)
    method, state = started(tiny_resnet(), [Uniform(0.9), part], 21)
    budget = state.masks.total()
    seen = {}
    go(method, state, each=lambda s: seen.__setitem__(s.step, s.masks.total()))
    assert part.final_structure_step(21) == 16
    assert seen[15] > budget and {seen[step] for step in range(16, 22)} == {budget}


def test_mest_soft_drops_the_lowest_scores_of_all(eight):
    """Weights that grew compete with those of the budget."""
    state = eight([5, -1, 3, -4, 2, 0, 0, 0], live=range(5))
    state.budget = Uniform(0.5)
    soft(sparsity=0.5).update(state, 0.0)
    assert set(state.masks.index("weight").tolist()) == {0, 2, 3, 4}


@pytest.mark.parametrize("part", [mest, soft])
def test_mest_resumes_exactly(part):
    def parts():
        return [ERK(0.9), part(updates_per_run=None, update_interval=4)]

    method, state = started(tiny_resnet(), parts(), 20)
    files = []
    go(method, state, each=lambda s: files.append(through_a_file(s)) if s.step == 9 else None)
    again, other = resumed(tiny_resnet(seed=3), parts(), files[0], 20)
    go(again, other)
    assert live_of(state) == live_of(other)


@pytest.mark.parametrize(
    "part, refused, message",
    [
        (mest, {"gradient_weight": -1}, "MEST.gradient_weight = -1: must be at least 0"),
        (soft, {"update_until": 1.0}, "SoftMEST.update_until"),
        (mest, {"drop_fraction": 2}, "MEST.drop_fraction"),
    ],
)
def test_mest_refuses_settings_out_of_range(part, refused, message):
    with pytest.raises(UserError, match=message):
        part(**refused)
