"""Masks: flat views in storage order, live counts, in-place writes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dstbench.core.masks import (
    Masks,
    flat,
    gradient_of,
    live_gradient,
    row_index,
    storage_index,
)

# --- flat -----------------------------------------------------------------------------------------


@given(st.data())
def test_flat_is_a_view_in_storage_order(data):
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    dims = data.draw(st.permutations(range(len(shape))))
    memory = torch.arange(torch.Size(shape).numel())
    tensor = memory.view(shape).permute(dims)
    assert torch.equal(flat(tensor), memory)
    assert flat(tensor).data_ptr() == memory.data_ptr()


@pytest.mark.parametrize("shape", [(4, 3, 3, 3), (4, 3, 1, 1), (4, 1, 3, 3), (1, 4, 3, 3)])
def test_flat_of_channels_last_is_a_view(shape):
    tensor = torch.rand(shape).to(memory_format=torch.channels_last)
    assert torch.equal(flat(tensor), tensor.permute(0, 2, 3, 1).reshape(-1))
    assert flat(tensor).data_ptr() == tensor.data_ptr()


def test_flat_of_a_view_stays_inside_it():
    memory = torch.arange(20)
    assert flat(memory[6:18].view(3, 4).t()).tolist() == list(range(6, 18))


@pytest.mark.parametrize(
    "tensor",
    [torch.rand(4, 6)[:, ::2], torch.rand(4, 6)[:, :3], torch.rand(4, 1).expand(4, 3)],
    ids=["strided", "gaps", "overlap"],
)
def test_flat_refuses_tensors_with_gaps_or_overlaps(tensor):
    with pytest.raises(ValueError, match="gaps or overlaps"):
        flat(tensor)


def test_flat_writes_through_to_a_trainable_parameter():
    parameter = nn.Parameter(torch.ones(2, 2))
    flat(parameter)[1] = 5.0
    assert parameter.tolist() == [[1, 5], [1, 1]]


# --- Masks ----------------------------------------------------------------------------------------


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.last = nn.Linear(3, 2)


def test_masks_count_a_shared_tensor_once():
    masks = Masks(Tied())
    assert masks.counts() == {"first.weight": 9, "last.weight": 6} and masks.total() == 15
    masks.write_("first.weight", torch.tensor([4, 0]))
    assert masks.counts() == {"first.weight": 2, "last.weight": 6} and masks.total() == 8


def test_masks_are_empty_until_written():
    masks = Masks(Tied())
    assert len(masks) == 0 and dict(masks) == {}


@given(st.lists(st.sets(st.integers(0, 23)), min_size=1, max_size=4), st.randoms())
def test_write_makes_exactly_the_index_live_in_place(subsets, random):
    model = nn.Conv2d(2, 3, 2, bias=False).to(memory_format=torch.channels_last)
    masks = Masks(model)
    masks.write_("weight", torch.arange(24))
    held, memory = masks["weight"], masks["weight"].data_ptr()
    assert held.stride() == model.weight.stride()
    for subset in subsets:
        order = list(subset)
        random.shuffle(order)
        masks.write_("weight", torch.tensor(order, dtype=torch.int64))
        assert masks["weight"] is held and held.data_ptr() == memory
        assert masks.index("weight").tolist() == sorted(subset)
        assert flat(held).nonzero().view(-1).tolist() == sorted(subset)
        assert masks.live("weight") == masks.total() == len(subset)


def test_write_leaves_weights_and_apply_zeroes_the_dead():
    model = nn.Linear(4, 1, bias=False)
    weights = model.weight.detach().clone()
    masks = Masks(model)
    masks.write_("weight", torch.tensor([2]))
    assert torch.equal(model.weight, weights)
    masks.apply_()
    assert model.weight.tolist() == [[0, 0, weights[0, 2], 0]]


def test_apply_zeroes_dead_weights_that_are_not_finite():
    """Dead weights are zero after every step, whatever the step made of them."""
    model = nn.Linear(3, 1, bias=False)
    masks = Masks(model)
    masks.write_("weight", torch.tensor([0]))
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, torch.nan, -torch.inf]]))
    masks.apply_()
    assert model.weight.tolist() == [[1, 0, 0]]


def test_live_gradient_comes_from_either_source():
    model = nn.Conv2d(4, 4, 3, bias=False).to(memory_format=torch.channels_last)
    masks = Masks(model)
    masks.write_("weight", torch.tensor([7, 3, 50]))
    assert live_gradient(masks, "weight") is None
    model.weight.grad = torch.randn(4, 4, 3, 3)  # row by row
    expected = gradient_of(model.weight)[[3, 7, 50]]
    assert torch.equal(live_gradient(masks, "weight"), expected)
    computed = torch.ones(3)
    masks.live_gradients["weight"] = computed
    assert live_gradient(masks, "weight") is computed


def test_version_grows_and_live_gradients_go_when_a_mask_is_written():
    masks = Masks(nn.Linear(4, 4))
    masks.write_("weight", torch.tensor([1, 2]))
    version = masks.version
    masks.live_gradients["weight"] = torch.ones(2)
    masks.write_("weight", torch.tensor([1]))
    assert masks.version > version and not masks.live_gradients


@given(st.data())
def test_storage_and_row_order_are_each_others_inverse(data):
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    dims = data.draw(st.permutations(range(len(shape))))
    tensor = torch.empty(shape).permute(dims)
    rows = torch.arange(tensor.numel())
    stored = storage_index(tensor, rows)
    tensor.copy_(rows.view(tensor.shape))
    assert flat(tensor)[stored].tolist() == rows.tolist()
    assert torch.equal(row_index(tensor, stored), rows)
