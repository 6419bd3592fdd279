"""GlobalPruning: counts of each round, what may come back, and the network left as it was."""

from fractions import Fraction

import pytest
import torch
from helpers.pruned_at_init import linear, live_of, pruned, state_of
from helpers.tiny_runs import tiny_resnet
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dstbench.core.masks import flat
from dstbench.errors import UserError
from dstbench.methods.force import FORCE, IterativeSNIP
from dstbench.methods.global_pruning import GlobalPruning, ScoredCopy, live_per_round
from dstbench.methods.grasp import GraSP
from dstbench.methods.magnitude_at_init import MagnitudeAtInit
from dstbench.methods.snip import SNIP
from dstbench.sparsity import live_total

PARTS = {
    "MagnitudeAtInit": MagnitudeAtInit,
    "SNIP": SNIP,
    "IterativeSNIP": lambda sparsity: IterativeSNIP(sparsity, rounds=3),
    "FORCE": lambda sparsity: FORCE(sparsity, rounds=3),
    "GraSP": lambda sparsity: GraSP(sparsity, images_per_class=2),
}


class Table(GlobalPruning):
    """Scores by live weights before the round."""

    def __init__(self, sparsity, table, rounds=2):
        super().__init__(sparsity, rounds)
        self.table = table

    def scores(self, state, network):
        return torch.tensor(self.table[int(network.live.sum())])


class Reviving(Table):
    revives = True


FOUR = [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    "cls, table, live",
    [
        (Table, {4: [4.0, 3, 2, 1], 2: [0.0, 1, 9, 9]}, [1]),
        (Reviving, {4: [4.0, 3, 2, 1], 2: [0.0, 1, 9, 8]}, [2]),
        (Reviving, {4: [5.0, 3, 3, 1], 3: [0.0, 1, 8, 9]}, [3]),  # the tie stays until the end
        (Table, {4: [5.0, 3, 1, 2], 2: [-1.0, -2, 0, 0]}, [0]),
    ],
)
def test_masks_by_hand_over_two_rounds(cls, table, live):
    """Four weights, then two, then one."""
    state = pruned(cls(0.75, table), linear(FOUR))
    assert live_of(state).nonzero().view(-1).tolist() == live


def test_a_round_in_which_all_scores_tie_prunes_nothing_that_may_come_back():
    state = pruned(Reviving(0.75, {4: [1.0, 1, 1, 1]}, rounds=5), linear(FOUR))
    assert state.masks.total() == 1


@pytest.mark.parametrize(
    "density, total, rounds, left",
    [
        (Fraction(1, 4), 4, 2, [2, 1]),
        (Fraction(1, 100), 10_000, 2, [1000, 100]),
        (Fraction(1, 100), 10_000, 4, [3162, 1000, 316, 100]),
        (Fraction(1, 10), 99, 1, [10]),
        (Fraction(1), 7, 3, [7, 7, 7]),
    ],
)
def test_live_weights_fall_exponentially(density, total, rounds, left):
    assert live_per_round(density, left[-1], total, rounds) == left


@pytest.mark.parametrize("name", PARTS)
@settings(max_examples=10)
@given(sparsity=st.floats(0, 0.995), seed=st.integers(0, 99))
def test_count_is_exact_and_weights_keep_their_values(name, sparsity, seed):
    model = tiny_resnet(seed=seed)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = pruned(PARTS[name](sparsity), model, seed=seed)
    assert state.masks.total() == live_total(sparsity, state.dense_numel)
    for key, value in model.state_dict().items():  # statistics of batch norms, too
        expected = before[key] * state.masks[key] if key in state.masks else before[key]
        assert torch.equal(value, expected), key
    assert model.training and all(p.grad is None for p in model.parameters())
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("name", PARTS)
def test_masks_repeat_and_do_not_depend_on_the_memory_layout(name):
    part = PARTS[name](0.9)
    masks = [
        pruned(part, tiny_resnet().to(memory_format=layout)).masks
        for layout in (torch.channels_last, torch.channels_last, torch.contiguous_format)
    ]
    for key, mask in masks[0].items():
        assert torch.equal(mask, masks[1][key]) and torch.equal(mask, masks[2][key])


def test_scored_copy_prunes_and_restores():
    network = ScoredCopy(tiny_resnet(), training=True)
    network.keep_(torch.tensor([0, 5]))
    assert network.values().nonzero().view(-1).tolist() == [0, 5]
    network.keep_(torch.tensor([5, 7]))
    assert torch.equal(network.values()[[5, 7]], network.initial[[5, 7]])
    assert int(network.live.sum()) == 2 and len(network.initial) == sum(network.sizes)


def test_scored_copy_has_zero_gradients_where_there_are_none():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3))
    network = ScoredCopy(model, training=False)
    network.model[0](torch.ones(1, 2)).sum().backward()
    assert network.take_gradients().tolist() == [1.0] * 4 + [0.0] * 6
    assert not network.take_gradients().any()
    assert flat(network.weights[0]).data_ptr() != flat(model[0].weight).data_ptr()


def test_layers_may_end_empty():
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.ReLU(), nn.Linear(4, 3))
    nn.init.constant_(model[3].weight, 1e-9)
    assert pruned(MagnitudeAtInit(0.9), model).masks.counts() == {"1.weight": 20, "3.weight": 0}


@pytest.mark.parametrize("value", [0.0, torch.inf, torch.nan])
@pytest.mark.parametrize(
    "part", [MagnitudeAtInit(0.5), SNIP(0.5), GraSP(0.5, 1, redraw_linear=False)]
)
def test_scores_that_rank_nothing_are_refused(part, value):
    model = linear([[value] * 48] * 3)
    with pytest.raises(UserError, match="rank nothing"):
        pruned(part, model)


@pytest.mark.parametrize("name", sorted(set(PARTS) - {"MagnitudeAtInit"}))
def test_parts_that_need_images_say_so(name):
    state = state_of()
    state.batches = None
    with pytest.raises(UserError, match="training images"):
        PARTS[name](0.9).init_masks(state)


@pytest.mark.parametrize(
    "make, binding",
    [
        (lambda: SNIP(1.0), "SNIP.sparsity"),
        (lambda: MagnitudeAtInit(-0.1), "MagnitudeAtInit.sparsity"),
        (lambda: SNIP(0.9, batches=0), "SNIP.batches"),
        (lambda: FORCE(0.9, rounds=0), "FORCE.rounds"),
        (lambda: IterativeSNIP(0.9, batches=0), "IterativeSNIP.batches"),
        (lambda: GraSP(0.9, images_per_class=0), "GraSP.images_per_class"),
        (lambda: GraSP(0.9, repeats=0), "GraSP.repeats"),
        (lambda: GraSP(0.9, temperature=0), "GraSP.temperature"),
        (lambda: pruned(SNIP(0.9999)), "SNIP.sparsity"),  # no weight would be left
    ],
)
def test_settings_out_of_range_are_refused(make, binding):
    with pytest.raises(UserError) as error:
        make()
    assert error.value.binding == binding
