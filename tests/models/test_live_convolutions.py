"""Convolutions without zero channels are torch's, and so are their gradients."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from dstbench.models import live_convolutions as module
from dstbench.models.live_convolutions import LiveConvolutions, with_live_convolutions
from dstbench.models.precision import autocast_for

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
    with LiveConvolutions():
        found, own = results(tensors, settings, seen)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    for a, b in zip(own, gradients, strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-10)


def test_precision_and_memory_layout_stay():
    input = torch.randn(2, 8, 5, 5).contiguous(memory_format=torch.channels_last)
    weight = torch.zeros(8, 8, 3, 3)
    weight[0, 1] = 1
    weight.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16), LiveConvolutions():
        output = F.conv2d(input, weight, padding=1)
    assert output.dtype == torch.bfloat16
    assert output.is_contiguous(memory_format=torch.channels_last)
    output.sum().backward()
    assert weight.grad is not None and weight.grad.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(output, F.conv2d(input, weight, padding=1), atol=0.05)


@pytest.mark.parametrize(
    "weight, settings",
    [
        (torch.ones(4, 4, 1, 1), {}),
        (torch.zeros(4, 1, 1, 1), {"groups": 4}),
        (torch.zeros(4, 4, 1, 1), {"padding": "same"}),
    ],
)
def test_torch_computes_what_is_dense_or_not_known(weight, settings):
    input = torch.randn(2, 4, 5, 5)
    expected = F.conv2d(input, weight, **settings)
    forbidden = patch.object(module._LiveConvolution, "apply", side_effect=AssertionError)
    with forbidden, LiveConvolutions():
        assert torch.equal(F.conv2d(input, weight, **settings), expected)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_context_of_forward_passes_has_both(precision):
    context = with_live_convolutions(autocast_for(precision, CPU), CPU)
    with context(), patch.object(module, "_convolve", wraps=module._convolve) as seen:
        F.conv2d(torch.ones(1, 2, 3, 3), torch.zeros(4, 2, 1, 1))
        assert torch.is_autocast_enabled("cpu") == (precision == "bf16")
    assert seen.call_count == 1


def test_other_devices_are_left_alone():
    autocast = autocast_for("bf16", torch.device("cuda"))
    assert with_live_convolutions(autocast, torch.device("cuda")) is autocast
