"""Native training computes what torch computes: every gradient, on networks of every kind."""

import copy
from unittest.mock import patch

import numpy as np
import pytest
import torch
from helpers.random_networks import Case, cases
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from dstbench.core.masks import flat
from dstbench.native.arena import Arena
from dstbench.native.network import NativeNetwork

pytestmark = pytest.mark.slow  # the kernels are compiled once on a machine, in about a minute

many = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def torch_step(case: Case) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Return a copy of the model after one backward pass by torch, its loss and logits."""
    model = copy.deepcopy(case.model)
    logits = model(case.images)
    loss = nn.functional.cross_entropy(logits, case.labels)
    loss.backward()
    return model, loss.detach(), logits.detach()


def gradients(model: nn.Module, masks) -> dict[str, torch.Tensor]:
    """Return name → gradient, of masked tensors those of the live weights."""
    found = {}
    for name, parameter in model.named_parameters():
        if name in masks.live_gradients:
            found[name] = masks.live_gradients[name]
        elif parameter.grad is not None:
            whole = parameter.grad
            if name in masks:
                whole = flat(torch.empty_like(parameter).copy_(whole))[masks.index(name)]
            found[name] = whole
    return found


def rounding(case: Case) -> float:
    """Return how far torch's own gradients move with the last digits of the parameters.

    Less than 1e-12 as a rule. Where a layer's outputs are constant, its batch norm magnifies
    rounding by 1/√ε = 316, and so do those before it, so that a gradient that is 0 may be 1e-6.
    """
    moved = copy.deepcopy(case.model)
    with torch.no_grad():
        for parameter in moved.parameters():
            parameter *= 1 + 1e-15 * torch.randn_like(parameter)
    other = Case(moved, case.masks, case.images.flip(0), case.labels.flip(0))
    one, two = (gradients(torch_step(c)[0], case.masks) for c in (case, other))
    return float(max(((one[n] - two[n]).abs().max() for n in one if one[n].numel()), default=0.0))


def assert_alike(
    found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], noise: float
) -> None:
    """Assert that gradients are those of torch.

    noise: what rounding alone changes in torch's.
    """
    for name, value in expected.items():
        largest = float(value.abs().max()) if value.numel() else 0.0
        tolerance = 1e-6 * largest + max(1e-9, 10 * noise)
        assert torch.allclose(found[name], value, rtol=1e-6, atol=tolerance), name


def native_step(case: Case, threads: int = 1) -> tuple[NativeNetwork, torch.Tensor, torch.Tensor]:
    network = NativeNetwork(case.model, case.masks, case.image_shape, threads, torch.float64)
    return network, *network.forward_backward(case.images, case.labels)


def assert_step_is(network, case: Case, loss, first: dict[str, torch.Tensor]) -> None:
    """Assert that another step has this loss and these gradients, bit for bit."""
    again, _ = network.forward_backward(case.images, case.labels)
    assert torch.equal(again, loss)
    for name, value in gradients(case.model, case.masks).items():
        assert torch.equal(value, first[name]), name


@many
@given(cases(), st.floats(0, 0.9))
def test_labels_are_smoothed_as_in_torch(case, smoothing):
    noise = rounding(case)
    model = copy.deepcopy(case.model)
    expected = nn.functional.cross_entropy(
        model(case.images), case.labels, label_smoothing=smoothing
    )
    expected.backward()
    network = NativeNetwork(case.model, case.masks, case.image_shape, 1, torch.float64)
    loss, _ = network.forward_backward(case.images, case.labels, smoothing)
    assert torch.allclose(loss, expected.detach(), rtol=1e-9, atol=1e-12)
    found = gradients(case.model, case.masks)
    case.masks.live_gradients.clear()
    assert_alike(found, gradients(model, case.masks), noise)


@many
@given(cases())
def test_every_gradient_is_that_of_torch(case):
    noise = rounding(case)
    reference, loss, logits = torch_step(case)
    network, own_loss, own_logits = native_step(case)
    assert torch.allclose(own_loss, loss, rtol=1e-9, atol=1e-12)
    assert torch.allclose(own_logits, logits, rtol=1e-6, atol=1e-9)
    case.masks.live_gradients.clear()
    expected = gradients(reference, case.masks)
    network.forward_backward(case.images, case.labels)
    found = gradients(case.model, case.masks)
    assert found.keys() == expected.keys()
    assert_alike(found, expected, noise)


@many
@given(cases())
def test_running_averages_and_evaluation_are_those_of_torch(case):
    reference, _, _ = torch_step(case)
    network, _, _ = native_step(case)
    network.push_back_()
    for (name, own), other in zip(case.model.named_buffers(), reference.buffers(), strict=True):
        assert torch.allclose(own, other, rtol=1e-9, atol=1e-12), name
    expected = reference.eval()(case.images)
    assert torch.allclose(network.logits(case.images), expected, rtol=1e-6, atol=1e-9)


@many
@given(cases(), st.integers(1, 30))
def test_batches_of_other_sizes_change_nothing(case, size):
    network, loss, _ = native_step(case)
    first = gradients(case.model, case.masks)
    network.logits(case.images[:size])
    network.logits(torch.cat([case.images] * 2))
    assert_step_is(network, case, loss, first)


@many
@given(cases())
def test_mask_moved_away_and_back_changes_no_bit(case):
    network, loss, _ = native_step(case)
    first = gradients(case.model, case.masks)
    values = {name: p.detach().clone() for name, p in case.model.named_parameters()}
    index = {name: case.masks.index(name).clone() for name in case.masks}
    for name, parameter in case.masks.parameters.items():
        if name in index:
            case.masks.write_(name, torch.randperm(parameter.numel())[: len(index[name])])
    network.remask_()
    network.forward_backward(case.images, case.labels)
    for name, live in index.items():
        case.masks.write_(name, live)
    for name, parameter in case.model.named_parameters():
        parameter.detach().copy_(values[name])
    network.remask_()
    assert_step_is(network, case, loss, first)


@many
@given(cases())
def test_memory_that_is_free_may_hold_anything(case):
    """A plane that is read before it is written, or after it was used again, would show as NaN."""
    network, loss, _ = native_step(case)
    first = gradients(case.model, case.masks)
    program = network.compiled(len(case.images))
    program.forward.values[:] = float("nan")
    program.forward.gradients[:] = float("nan")
    program.forward.levels[:] = float("nan")
    program.reset_memory_()
    assert_step_is(network, case, loss, first)


class GuardedArena(Arena):
    """Arrays of just the size that is asked for, with NaN before and after them.

    guarded: each piece of memory, with where its array begins and ends.
    """

    GUARD = 4096  # numbers, more than a row of pixels

    def __init__(self, dtype):
        super().__init__(dtype)
        self.guarded = []

    def get(self, name, size, dtype=None):
        if dtype is not None:  # tables, which are enlarged until they are large enough
            return super().get(name, size, dtype)
        memory = np.full(size + 3 * self.GUARD, np.nan, self.dtype)
        first = self.GUARD + (-memory.ctypes.data // memory.itemsize) % (64 // memory.itemsize)
        memory[first : first + size] = 0
        self.guarded.append((memory, first, first + size))
        return memory[first : first + size]


@many
@given(cases())
def test_nothing_is_read_or_written_outside_the_arrays(case):
    """A read outside would show as NaN in the results, a write as a number among the guards."""
    _, loss, _ = native_step(case)
    first = gradients(case.model, case.masks)
    with patch("dstbench.native.network.Arena", GuardedArena):
        network, _, _ = native_step(case)
    assert_step_is(network, case, loss, first)
    network.logits(case.images)
    for memory, start, end in network._arena.guarded:
        assert np.isnan(memory[:start]).all() and np.isnan(memory[end:]).all()


@many
@given(cases())
def test_threads_change_no_bit(case):
    _, loss, logits = native_step(case)
    first = gradients(case.model, case.masks)
    _, again, same = native_step(case, threads=2)
    assert torch.equal(loss, again) and torch.equal(logits, same)
    for name, value in gradients(case.model, case.masks).items():
        assert torch.equal(value, first[name]), name
