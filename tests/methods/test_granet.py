"""GraNet: gradual pruning, and the swaps that follow each pruning."""

import pytest
import torch
from helpers.tiny_runs import go, resumed, started, through_a_file, tiny_resnet

from dstbench.core.budgets import EPL, ERK, Uniform
from dstbench.core.masks import flat
from dstbench.core.schedules import Cosine
from dstbench.errors import UserError
from dstbench.methods.global_magnitude import GlobalMagnitude
from dstbench.methods.granet import GraNet
from dstbench.sparsity import live_total


def granet(sparsity=0.9, of=None, start=None, drop_fraction=0.3, until=0.5, **settings):
    settings = settings or {"update_interval": 4}
    of = of or GlobalMagnitude()
    return GraNet(sparsity, of, drop_fraction, start, until=until, **settings)


@pytest.mark.parametrize(
    "gradient, live",
    [
        # of eight weights 1 … 8, pruned to 4 … 8, two of which are swapped (40 %)
        ([0, 3, 9, 0, 0, 0, 0, 0], {5, 6, 7, 1, 2}),
        ([0, 0, 0, 9, 8, 7, 7, 7], {5, 6, 7, 3, 4}),  # what was dropped comes back
        ([2, 0, 0, 9, 1, 0, 0, 0], {5, 6, 7, 3, 0}),
    ],
)
def test_update_prunes_then_swaps_small_magnitudes_for_large_gradients(eight, gradient, live):
    state = eight(total_steps=8)
    state.model.weight.grad = torch.tensor([gradient], dtype=torch.float32)
    state.step = 4
    granet(0.375, drop_fraction=0.4).after_step(state)
    assert set(state.masks.index("weight").tolist()) == live
    weights = dict(enumerate(flat(state.model.weight).tolist()))
    kept = {i for i in live if i >= 3}
    assert all(weights[i] == (i + 1 if i in kept else 0) for i in weights)


def test_regrown_weight_that_was_pruned_before_the_swap_starts_at_zero(eight):
    state = eight(total_steps=8)
    state.model.weight.grad = torch.tensor([[0.0, 3, 9, 0, 0, 0, 0, 0]])
    state.step = 4
    granet(0.375, drop_fraction=0.4).after_step(state)
    assert flat(state.model.weight)[[1, 2]].tolist() == [0, 0]


@pytest.mark.parametrize("start", [None, ERK(0.5)])
@pytest.mark.parametrize("of", [GlobalMagnitude, lambda: ERK(0.9), lambda: EPL(0.9)])
def test_counts_are_exact_and_masks_move_to_the_end(start, of):
    part = granet(of=of(), start=start)
    method, state = started(tiny_resnet(), [part], 40)
    first = state.dense_numel if start is None else live_total(0.5, state.dense_numel)
    assert sum(int(state.memory[f"ever_live/{name}"].sum()) for name in state.masks) == first
    assert state.masks.total() == first
    masks, moved = {}, []

    def each(state):
        asked = part.sparsity_at(4 * (state.step // 4) if state.step < 20 else 20, 40)
        total = live_total(asked, state.dense_numel) if state.step >= 4 else first
        assert state.masks.total() == total
        now = {name: state.masks.index(name).tolist() for name in state.masks}
        if now != masks:
            moved.append(state.step)
        masks.update(now)

    go(method, state, each=each)
    assert moved == [1, *range(4, 40, 4)]  # 1: there was none before


def test_sparsity_begins_at_that_of_the_start():
    part = granet(start=Uniform(0.5), update_interval=10)
    assert part.sparsity_at(0, 100) == 0.5
    assert part.sparsity_at(25, 100) == pytest.approx(0.9 - 0.4 / 8)
    assert part.sparsity_at(50, 100) == 0.9
    assert granet(update_interval=10).sparsity_at(25, 100) == pytest.approx(0.9 - 0.9 / 8)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"start": ERK(0.95)}, "GraNet.start = 0.95"),
        ({"drop_fraction": 1.5}, "GraNet.drop_fraction"),
        ({"of": Uniform(0.8)}, "Uniform.sparsity = 0.8"),
        ({"updates_per_run": 1}, "GraNet.updates_per_run"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        granet(**settings)


def test_run_without_an_update_before_the_last_is_refused():
    with pytest.raises(UserError, match="prune once only"):
        granet(update_interval=50).check(100)
    with pytest.raises(UserError, match=r"GraNet\.drop_fraction"):
        granet(drop_fraction=Cosine(0.5, -0.5)).check(100)
    granet(update_interval=20).check(100)


def test_updates_read_dense_gradients_and_pruning_alone_does_not():
    part = granet(until=0.55)
    assert [s for s in range(1, 41) if part.needs_dense_gradients(s, 40)] == [*range(4, 40, 4)]
    assert [s for s in range(1, 41) if part.requires_dense_gradients(s, 40)] == [*range(4, 40, 4)]
    assert part.final_structure_step(40) == 22


def test_pruning_by_another_budget_than_that_of_the_start_grows_by_gradient():
    part = granet(of=ERK(0.9), start=Uniform(0.5), until=0.55)
    assert part.redistributes and part.needs_dense_gradients(22, 40)
    assert part.requires_dense_gradients(22, 40)
    assert not granet(of=ERK(0.9)).redistributes and not granet(start=Uniform(0.5)).redistributes


@pytest.mark.parametrize("at", [3, 9, 30])
def test_resumed_run_is_the_same(at):
    method, state = started(tiny_resnet(), [granet(start=ERK(0.5))], 40)
    saved = []
    go(method, state, each=lambda s: saved.append(through_a_file(s)) if s.step == at else None)
    again, other = resumed(tiny_resnet(seed=3), [granet(start=ERK(0.5))], saved[0], 40)
    go(again, other)
    for name, value in state.model.state_dict().items():
        assert (value == other.model.state_dict()[name]).all()
