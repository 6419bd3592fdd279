"""Packing: round trips of masked networks in every layout, dtype and kind of sharing."""

import io

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dstbench.core.budgets import ERK
from dstbench.core.masks import Masks
from dstbench.core.packing import load_network_, load_tensors, pack_network, pack_tensors
from dstbench.core.state import State

LAYOUTS = [torch.channels_last, torch.contiguous_format]


def through_a_file(packed):
    buffer = io.BytesIO()
    torch.save(packed, buffer)
    return torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)


def sparse(model, sparsity=0.8, seed=0):
    state = State(model, (3, 8, 8), seed, 100)
    ERK(sparsity).init_masks(state)
    return state.masks


def assert_same_network(model, masks, other, others):
    tensors = other.state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, tensors[name]), name
    assert set(masks) == set(others)
    for name, mask in masks.items():
        assert torch.equal(mask, others[name]), name
        assert others.live(name) == int(mask.sum())


@pytest.mark.parametrize("written", LAYOUTS)
@pytest.mark.parametrize("read", LAYOUTS)
def test_pack_round_trip_between_memory_layouts(small_net, written, read):
    model = small_net(0, written)
    masks = sparse(model)
    model(torch.randn(4, 3, 8, 8))  # moves the buffers of batch norm
    other = small_net(1, read)
    others = Masks(other)
    memory = {name: p.data_ptr() for name, p in other.named_parameters()}
    load_network_(other, others, through_a_file(pack_network(model, masks)))
    assert_same_network(model, masks, other, others)
    assert memory == {name: p.data_ptr() for name, p in other.named_parameters()}
    assert other[3].weight.is_contiguous(memory_format=read)


@given(st.lists(st.integers(1, 5), min_size=4, max_size=4), st.integers(0, 99), st.data())
def test_packed_indices_are_in_row_order_for_every_layout(shape, seed, data):
    """So that other tools can read them: values belong at contiguous().view(-1)[positions]."""
    out, inputs, height, width = shape
    model = nn.Conv2d(inputs, out, (height, width), bias=False)
    model = model.to(memory_format=data.draw(st.sampled_from(LAYOUTS)))
    n = model.weight.numel()
    masks = Masks(model)
    rng = torch.Generator().manual_seed(seed)
    masks.write_("weight", torch.randperm(n, generator=rng)[: data.draw(st.integers(0, n))])
    masks.apply_()
    rows, values = pack_network(model, masks)["live"]["weight"]
    assert rows.dtype == torch.int32 and rows.tolist() == sorted(set(rows.tolist()))
    rebuilt = torch.zeros(n).index_copy_(0, rows.long(), values).view(model.weight.shape)
    assert torch.equal(rebuilt, model.weight)
    live = torch.zeros(n, dtype=torch.bool).index_fill_(0, rows.long(), True)
    assert torch.equal(live.view(model.weight.shape), masks["weight"])


def test_packed_live_zeros_stay_live():
    """A weight that has just grown is zero and must not be taken for a dead one."""
    model = nn.Linear(4, 1, bias=False)
    masks = Masks(model)
    masks.write_("weight", torch.tensor([1, 3]))
    nn.init.zeros_(model.weight)
    other = nn.Linear(4, 1, bias=False)
    others = Masks(other)
    load_network_(other, others, through_a_file(pack_network(model, masks)))
    assert others.index("weight").tolist() == [1, 3] and not other.weight.any()


def test_packed_dead_weights_take_no_space(small_net):
    model = small_net()
    masks = sparse(model, 0.9)
    packed = pack_network(model, masks)
    assert sum(len(values) for _, values in packed["live"].values()) == masks.total()
    assert set(packed["live"]) == set(masks) and not set(packed["rest"]) & set(masks)
    assert {"1.weight", "1.running_mean", "1.num_batches_tracked", "10.bias"} <= set(packed["rest"])


def test_pack_network_copies(small_net):
    model = small_net()
    masks = sparse(model)
    packed = pack_network(model, masks)
    before = through_a_file(packed)
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            tensor.add_(1)
    for name, (rows, values) in packed["live"].items():
        assert torch.equal(rows, before["live"][name][0])
        assert torch.equal(values, before["live"][name][1])
    assert all(torch.equal(packed["rest"][n], t) for n, t in before["rest"].items())


def test_packed_dense_network_is_complete(small_net):
    model, other = small_net(0), small_net(1)
    packed = through_a_file(pack_network(model, Masks(model)))
    assert packed["live"] == {}
    masks = Masks(other)
    load_network_(other, masks, packed)
    assert_same_network(model, Masks(model), other, masks)


class Tied(nn.Module):
    """Two convolutions of one tensor, and a buffer that is rebuilt, not stored."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)
        self.two.weight = self.one.weight
        self.register_buffer("seen", torch.tensor([True, False]))
        self.register_buffer("scratch", torch.rand(3), persistent=False)


def test_packed_shared_tensor_is_stored_once_and_stays_shared():
    model, other = Tied(), Tied()
    masks, others = sparse(model), Masks(other)
    packed = pack_network(model, masks)
    assert set(packed["live"]) == {"one.weight"}
    assert set(packed["rest"]) == {"one.bias", "two.bias", "seen"}
    model.seen.logical_not_()
    load_network_(other, others, through_a_file(pack_network(model, masks)))
    assert other.two.weight is other.one.weight
    assert_same_network(model, masks, other, others)


class TiedToSomethingElse(nn.Module):
    """A language model's habit: the output layer's weight is the embedding's."""

    def __init__(self):
        super().__init__()
        self.embedding, self.output = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
        self.output.weight = self.embedding.weight


def test_packed_tensor_shared_with_an_embedding_keeps_its_mask():
    model, other = TiedToSomethingElse(), TiedToSomethingElse()
    masks, others = sparse(model), Masks(other)
    load_network_(other, others, through_a_file(pack_network(model, masks)))
    assert others.total() == masks.total() == 8
    assert_same_network(model, masks, other, others)


def test_load_network_replaces_existing_masks(small_net):
    model, other = small_net(0), small_net(1)
    masks, others = sparse(model, 0.9, seed=1), sparse(other, 0.5, seed=2)
    held = others["3.weight"]
    load_network_(other, others, through_a_file(pack_network(model, masks)))
    assert_same_network(model, masks, other, others)
    assert others["3.weight"] is held


def test_load_network_ignores_extra_tensors_and_refuses_missing_ones(small_net):
    model = small_net()
    packed = pack_network(model, sparse(model))
    packed["rest"]["phasing.weight"] = torch.ones(2)
    other = small_net(1)
    load_network_(other, Masks(other), packed)
    del packed["rest"]["10.bias"]
    with pytest.raises(KeyError, match=r"10\.bias"):
        load_network_(other, Masks(other), packed)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_packed_values_keep_their_dtype(small_net, dtype):
    model, other = small_net(0, dtype=dtype), small_net(1, dtype=dtype)
    masks, others = sparse(model), Masks(other)
    packed = through_a_file(pack_network(model, masks))
    assert packed["live"]["3.weight"][1].dtype == dtype
    load_network_(other, others, packed)
    assert_same_network(model, masks, other, others)


# --- named tensors --------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 5), max_size=3),
    st.sampled_from([torch.bool, torch.float32, torch.float64, torch.int64, torch.bfloat16]),
    st.integers(0, 99),
)
def test_pack_tensors_round_trip(shape, dtype, seed):
    rng = torch.Generator().manual_seed(seed)
    tensor = (torch.randn(shape, generator=rng) * 3).to(dtype)
    loaded = load_tensors(through_a_file(pack_tensors({"a/b": tensor})), "cpu")["a/b"]
    assert loaded.dtype == dtype and torch.equal(loaded, tensor)


def test_packed_boolean_takes_one_bit():
    packed = pack_tensors({"m": torch.ones(8000, dtype=torch.bool)})["m"]
    assert packed[0].numel() == 1000


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32])
def test_pack_tensors_and_load_tensors_copy(dtype):
    tensor = torch.ones(3, dtype=dtype)
    packed = pack_tensors({"a": tensor})
    loaded = load_tensors(packed, "cpu")["a"]
    tensor.zero_()
    assert loaded.all()
    loaded.zero_()
    assert load_tensors(packed, "cpu")["a"].all()


def test_packed_strided_boolean_keeps_its_values():
    tensor = torch.arange(24).view(2, 3, 2, 2) % 3 == 0
    tensor = tensor.to(memory_format=torch.channels_last)
    assert torch.equal(load_tensors(pack_tensors({"a": tensor}), "cpu")["a"], tensor)


@pytest.mark.parametrize(
    "positions",
    [[0, 0], [1, 0], [-1, 3], [0, 10**6], [[0, 1]], [0.0, 1.0], [0, 1, 2]],
)
def test_positions_that_are_not_ascending_in_the_tensor_are_refused(small_net, positions):
    model = small_net(0)
    masks = sparse(model)
    packed = pack_network(model, masks)
    name = next(iter(packed["live"]))
    packed["live"][name] = (torch.tensor(positions), torch.zeros(2))
    with pytest.raises(IndexError, match=f"{name}: its positions are not ascending"):
        load_network_(model, masks, packed)
