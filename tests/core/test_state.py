"""State: what moves with a mask, what a checkpoint holds, exact resuming."""

import copy
import io
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dstbench.core.budgets import ERK
from dstbench.core.drop_grow import DropGrow
from dstbench.core.masks import flat
from dstbench.core.method import Method
from dstbench.core.packing import pack_network
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.optim.settings import SGD, Adam, TorchOptimizer

OPTIMIZERS = {"SGD": SGD(0.1), "Adam": Adam(0.01), "any": TorchOptimizer("AdamW", 0.01)}


class Churn(DropGrow):
    """Swaps half of every layer at every step, at random."""

    def __init__(self):
        super().__init__(drop_fraction=0.5, update_interval=1)

    def grow_score(self, state, name):
        return None


def advance(state, method, steps):
    for _ in range(steps):
        rng = torch.Generator().manual_seed(state.step)
        x = torch.randn(4, 3, 8, 8, generator=rng)
        state.optimizer.zero_grad()
        state.model(x).square().mean().backward()
        state.optimizer.step(0.05)
        state.step += 1
        method.after_step(state)


def started(small_net, optimizer, parts=None, seed=0):
    method = Method("test", parts or [ERK(0.9), Churn()])
    state = State(small_net(), (3, 8, 8), seed, 40)
    method.init_masks(state)
    state.optimizer = optimizer.build(state.model, state.masks)
    return state, method


def saved_and_loaded(saved):
    buffer = io.BytesIO()
    torch.save(saved, buffer)
    return torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)


def assert_same(one, other, path=""):
    """Two checkpoints hold the same values, tensors bit for bit."""
    assert type(one) is type(other), path
    if isinstance(one, dict):
        assert list(one) == list(other), path
        for key in one:
            assert_same(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{path}/{i}")
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype and one.shape == other.shape, path
        assert one.contiguous().numpy().tobytes() == other.contiguous().numpy().tobytes(), path
    else:
        assert one == other, path


# --- moving a mask --------------------------------------------------------------------------------


def test_set_live_zeroes_dead_weights_of_a_first_mask(eight):
    state = eight(range(1, 9), live=[6, 1])
    assert state.model.weight.tolist() == [[0, 2, 0, 0, 0, 0, 7, 0]]
    assert state.masks.index("weight").tolist() == [1, 6]


def test_set_live_starts_grown_weights_at_zero(eight):
    state = eight(range(1, 9), live=[1, 6])
    state.set_live_("weight", torch.tensor([6, 0]))
    assert state.model.weight.tolist() == [[0, 0, 0, 0, 0, 0, 7, 0]]
    assert state.masks["weight"].tolist() == [[True] + [False] * 5 + [True, False]]


@given(st.lists(st.sets(st.integers(0, 7), min_size=1), min_size=1, max_size=6))
def test_set_live_records_ever_live_weights(eight, subsets):
    state = eight(range(1, 9), live=range(8))
    ever = state.memory["ever_live/weight"]
    ever.zero_()  # of the moves, not of the start
    survivors = set(range(8))
    for subset in subsets:
        state.set_live_("weight", torch.tensor(sorted(subset, reverse=True)))
        survivors &= subset
        assert state.model.weight.tolist() == [[i + 1.0 if i in survivors else 0 for i in range(8)]]
    assert set(ever.nonzero().view(-1).tolist()) == set().union(*subsets)


@pytest.mark.parametrize(
    ("index", "what"),
    [
        (torch.tensor([1, 6, 1]), "1 twice"),
        (torch.tensor([-1, 3]), "indices from -1 to 3"),
        (torch.tensor([8]), "indices from 8 to 8"),
        (torch.tensor([1.0, 2.0]), "torch.float32 of shape [2]"),
        (torch.tensor([True, False]), "torch.bool of shape [2]"),
        (torch.tensor([[1], [2]]), "torch.int64 of shape [2, 1]"),
    ],
)
def test_set_live_refuses_what_is_no_index_and_changes_nothing(eight, index, what):
    """A weight that counted twice would leave the network sparser than its masks say."""
    state = eight(range(1, 9), live=[1, 6])
    with pytest.raises(UserError, match=re.escape(f"weight: its live weights were set to {what}")):
        state.set_live_("weight", index)
    assert state.model.weight.tolist() == [[0, 2, 0, 0, 0, 0, 7, 0]]
    assert state.masks.index("weight").tolist() == [1, 6] and state.masks.total() == 2


def test_set_live_writes_positive_zeros(eight):
    """A resumed run writes +0; were it −0 here, a weight grown later would differ in its sign."""
    state = eight([-1] * 8, live=[0, 1])
    assert not state.model.weight.signbit()[0, 2:].any()


def test_set_live_writes_weights_in_place(eight):
    state = eight()
    parameter, memory = state.model.weight, state.model.weight.data_ptr()
    state.set_live_("weight", torch.tensor([1]))
    assert state.model.weight is parameter and parameter.data_ptr() == memory


def test_progress_and_sparsity_are_measured(small_net):
    state = State(small_net(), (3, 8, 8), 0, 40)
    dense = 3 * 8 * 9 + 8 * 16 * 9 + 16 * 16 + 16 * 5
    assert state.dense_numel == dense and state.sparsity == 0
    state.set_live_("3.weight", torch.arange(52))
    assert state.sparsity == 1 - (dense - 1100) / dense
    state.step = 10
    assert state.progress == 0.25


# --- the checkpoint -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_checkpoint_resumes_bit_for_bit(small_net, name):
    state, method = started(small_net, OPTIMIZERS[name])
    advance(state, method, 3)
    state.curves.append({"epoch": 1, "loss": 0.5, "note": None})
    state.best = {"epoch": 1, "network": pack_network(state.model, state.masks)}
    state.memory["sum"] = torch.tensor(3.5, dtype=torch.float64)
    saved = saved_and_loaded(state.state_dict())

    other = State(small_net(seed=9), (3, 8, 8), 77, 1)
    torch.manual_seed(5)
    other.load_state_dict(saved_and_loaded(saved), OPTIMIZERS[name].build)
    assert_same(other.state_dict(), saved)
    advance(state, method, 4)
    advance(other, method, 4)
    assert_same(saved_and_loaded(other.state_dict()), saved_and_loaded(state.state_dict()))


def test_checkpoint_with_negative_weights_resumes_bit_for_bit(eight):
    """Bit for bit means the sign of zero as well: a run's files are compared by their checksums."""
    optimizer = SGD(0.1, nesterov=False)
    state = eight([-1] * 8, live=[0, 1])
    state.optimizer = optimizer.build(state.model, state.masks)
    other = State(nn.Linear(8, 1, bias=False), (1, 1, 8), 0, 100)
    other.load_state_dict(saved_and_loaded(state.state_dict()), optimizer.build)
    for each in (state, other):
        each.set_live_("weight", torch.tensor([0, 5]))
        each.model.weight.grad = torch.zeros(1, 8)  # a cut network's gradient
        each.optimizer.step(0.1)
    one, two = (pack_network(s.model, s.masks)["live"]["weight"] for s in (state, other))
    assert_same(list(one), list(two))


def test_checkpoint_restores_torch_generator(small_net):
    state, _ = started(small_net, OPTIMIZERS["SGD"])
    torch.manual_seed(3)
    saved = saved_and_loaded(state.state_dict())
    expected = torch.rand(2)
    other = State(small_net(), (3, 8, 8), 0, 1)
    torch.manual_seed(4)
    other.load_state_dict(saved, OPTIMIZERS["SGD"].build)
    assert torch.equal(torch.rand(2), expected)


def test_checkpoint_is_a_copy(small_net):
    """It is of the moment it was taken, however long it then waits to be written."""
    state, method = started(small_net, OPTIMIZERS["SGD"])
    advance(state, method, 2)
    state.curves.append({"epoch": 1})
    saved = state.state_dict()
    then = copy.deepcopy(saved)
    advance(state, method, 2)
    state.curves.append({"epoch": 2})
    assert_same(saved, then)


def test_load_state_dict_does_not_change_the_checkpoint(small_net):
    state, method = started(small_net, OPTIMIZERS["SGD"])
    advance(state, method, 2)
    state.memory["sum"] = torch.zeros(1)
    saved = saved_and_loaded(state.state_dict())
    then = copy.deepcopy(saved)
    other = State(small_net(), (3, 8, 8), 0, 1)
    other.load_state_dict(saved, OPTIMIZERS["SGD"].build)
    advance(other, method, 2)
    other.memory["sum"] += 1
    other.curves.append({"epoch": 2})
    assert_same(saved, then)


class Backwards(Part):
    """Gives the tensors their masks in another order than the model's."""

    def init_masks(self, state):
        for name in reversed(list(state.masks.parameters)):
            state.set_live_(name, torch.arange(5))


def test_checkpoint_restores_the_order_of_masks(small_net):
    """Updates draw from one generator, tensor by tensor."""
    optimizer = OPTIMIZERS["SGD"]
    state, method = started(small_net, optimizer, [Backwards(), Churn()])
    other = State(small_net(), (3, 8, 8), 0, 1)
    other.load_state_dict(saved_and_loaded(state.state_dict()), optimizer.build)
    advance(state, method, 2)
    advance(other, method, 2)
    for name, mask in state.masks.items():
        assert torch.equal(mask, other.masks[name])


def test_checkpoint_of_a_dense_run_resumes(small_net):
    optimizer = OPTIMIZERS["SGD"]
    state = State(small_net(), (3, 8, 8), 0, 40)
    state.optimizer = optimizer.build(state.model, state.masks)
    advance(state, Method("dense"), 2)
    other = State(small_net(seed=1), (3, 8, 8), 0, 40)
    other.load_state_dict(saved_and_loaded(state.state_dict()), optimizer.build)
    advance(state, Method("dense"), 2)
    advance(other, Method("dense"), 2)
    assert len(other.masks) == 0 and other.sparsity == 0
    assert all(map(torch.equal, state.model.parameters(), other.model.parameters()))


# --- runs ---


def test_parts_do_not_change_during_a_run(small_net):
    parts = [ERK(0.9), Churn()]
    before = [copy.deepcopy(vars(p)) for p in parts]
    state, method = started(small_net, OPTIMIZERS["SGD"], parts)
    advance(state, method, 3)
    assert [vars(p) for p in parts] == before


def test_run_is_a_function_of_its_seed(small_net):
    def masks(seed):
        state, method = started(small_net, OPTIMIZERS["Adam"], seed=seed)
        advance(state, method, 3)
        return [flat(m).clone() for m in state.masks.values()] + [
            p.detach().clone() for p in state.model.parameters()
        ]

    assert all(map(torch.equal, masks(1), masks(1)))
    assert not all(map(torch.equal, masks(1), masks(2)))
