"""Convolutions without zero channels are torch's, and so are their gradients."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from dstbench.models import live_convolutions as module
from dstbench.models.live_convolutions import LiveConvolutions, forward_context

CPU = torch.device("cpu")


@st.composite
def convolutions(draw) -> tuple[list[Tensor], dict]:
    """Return (input, weight, bias) in float64, of which few channels are not zero, and settings."""
    torch.manual_seed(draw(st.integers(0, 1000)))
    kernel, stride, dilation = (draw(st.integers(1, 3)) for _ in range(3))
    batch, inputs, outputs = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 9)),
        draw(st.integers(1, 9)),
    )
    input = torch.randn(batch, inputs, 9, 8, dtype=torch.float64)
    weight = torch.randn(outputs, inputs, kernel, kernel, dtype=torch.float64)
    weight *= torch.rand(weight.shape) < draw(st.sampled_from([0.0, 0.02, 0.2]))
    if draw(st.booleans()):
        input[:, ::2] = 0
    if draw(st.booleans()):
        input = input.contiguous(memory_format=torch.channels_last)
    bias = [torch.randn(outputs, dtype=torch.float64)] if draw(st.booleans()) else []
    return [input, weight, *bias], {
        "stride": (stride, 1),
        "padding": draw(st.integers(0, 2)),
        "dilation": dilation,
    }


def results(tensors: list[Tensor], settings: dict, seen: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return a convolution, and the gradients of its tensors.

    seen: the outputs that a gradient comes from.
    """
    leaves = [t.detach().requires_grad_() for t in tensors]
    output = F.conv2d(*leaves, **settings)
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view(output.shape)
    (output * weights)[:, seen].sum().backward()
    return output.detach(), [leaf.grad for leaf in leaves]


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.sampled_from([1, 2, 9]))
def test_they_are_those_of_torch(case, every):
    tensors, settings = case
    seen = torch.arange(len(tensors[1]))[::every]
    expected, gradients = results(tensors, settings, seen)
    with patch.multiple(module, _LEAST=0, _MOST=1), LiveConvolutions():
        found, own = results(tensors, settings, seen)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    for a, b in zip(own, gradients, strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-10)


def few_channels(channels: int) -> tuple[Tensor, Tensor]:
    """Return an input in channels_last, and a weight with one value that is not zero."""
    input = torch.randn(2, channels, 5, 5).contiguous(memory_format=torch.channels_last)
    weight = torch.zeros(channels, channels, 3, 3)
    weight[0, 1] = 1
    return input, weight


def replaced():
    """Return the convolutions that are replaced, as a mock."""
    return patch.object(module, "_LiveConvolution", wraps=module._LiveConvolution)


def test_convolutions_of_many_channels_are_replaced_and_the_memory_layout_stays():
    tensors = few_channels(64)
    with replaced() as seen, LiveConvolutions():
        output = F.conv2d(*tensors, padding=1)
    assert seen.apply.call_count == 1
    assert output.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(output, F.conv2d(*tensors, padding=1), atol=1e-5)


@pytest.mark.parametrize(
    "channels, density, settings",
    [
        (64, 1.0, {}),
        (8, 0.0, {}),
        (1024, 0.0, {"groups": 4}),
        (64, 0.0, {"padding": "same"}),
    ],
)
def test_torch_computes_what_is_dense_or_narrow_or_not_known(channels, density, settings):
    input, weight = few_channels(channels)
    weight = weight[:, : channels // settings.get("groups", 1)] + density
    expected = F.conv2d(input, weight, **settings)
    with replaced() as seen, LiveConvolutions():
        assert torch.equal(F.conv2d(input, weight, **settings), expected)
    assert seen.apply.call_count == 0


@pytest.mark.parametrize("precision, count", [("fp32", 1), ("bf16", 0)])
def test_a_context_of_forward_passes_has_them_in_fp32(precision, count):
    with replaced() as seen, forward_context(precision, CPU)():
        F.conv2d(*few_channels(64))
        assert torch.is_autocast_enabled("cpu") == (precision == "bf16")
    assert seen.apply.call_count == count


def test_other_devices_are_left_alone():
    forbidden = patch.object(module, "_convolve", side_effect=AssertionError)
    with forbidden, forward_context("fp32", torch.device("cuda"))():
        F.conv2d(*few_channels(64))


def test_gradients_are_computed_only_where_something_is_not_zero():
    input, weight = few_channels(64)
    input[:, 5:] = 0
    weight.requires_grad_()
    with patch.object(module, "_backward", wraps=module._backward) as seen, LiveConvolutions():
        F.conv2d(input, weight)[:, :3].sum().backward()
    assert [call.args[2].shape for call in seen.call_args_list] == [(3, 5, 3, 3)]


@pytest.mark.parametrize(
    "input, weight, bias",
    [
        ((2, 63, 5, 5), (64, 64, 3, 3), (64,)),
        ((2, 64, 5, 5), (64, 64, 3, 3), (1,)),
        ((2, 64, 5, 5), (64, 64, 3), (64,)),
    ],
)
def test_what_torch_refuses_is_refused(input, weight, bias):
    with LiveConvolutions(), pytest.raises(RuntimeError):
        F.conv2d(torch.zeros(input), torch.zeros(weight), torch.zeros(bias))


def test_an_image_without_a_batch_is_convolved():
    input, weight = few_channels(64)
    with LiveConvolutions():
        assert torch.equal(F.conv2d(input[0], weight), F.conv2d(input, weight)[0])


def test_what_is_left_of_a_convolution_is_not_given_to_an_unsafe_onednn(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    input, weight = torch.randn(2, 16, 4, 4, requires_grad=True), torch.zeros(16, 16, 1, 1)
    weight[:5, :3] = 1.0
    weight.requires_grad_()
    enabled, backward = [], module.without_onednn

    def observed(unsafe):
        enabled.append(not unsafe)
        return backward(unsafe)

    monkeypatch.setattr(module, "without_onednn", observed)
    rows, columns = torch.arange(5), torch.arange(3)
    for stride in (1, 2):
        sizes = [[stride, stride], [0, 0], [1, 1]]
        found = module._LiveConvolution.apply(input, weight, rows, columns, sizes)
        found.sum().backward()
    assert enabled == [True, True, False, True]  # the input, at stride 2
    assert torch.backends.mkldnn.enabled
