"""Convolutions of very sparse weights, on a CPU, without the channels that add nothing.

At 99.99 % sparsity, a layer's few live weights read few of its input channels and write few of its
outputs; the rest of a dense convolution multiplies zeros. So do most gradients of its dead weights:
they are zero where the input or the gradient of the output is. What is left is computed by torch's
dense convolutions, and is what they return for the whole of finite numbers, but for rounding.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from dstbench.models.onednn import overruns, without_onednn
from dstbench.models.precision import Autocast, autocast_for

# Looking for zeros and copying channels has to cost less than what it saves.
_MOST = 0.5  # largest fraction of input × output channels that have a live weight
# Smallest O·I·h·w / (O + I) of a weight (O, I, h, w): multiply-adds per number read and written.
# With 144, forward and backward are 1.1 to 1.8 times faster; with 72, 0.7 to 1 (AVX2, torch 2.14).
_LEAST = 128


def forward_context(precision: str, device: torch.device) -> Autocast:
    """Return the context of a run's forward passes: autocast and, on a CPU, live convolutions.

    The backward pass may come after it. Other devices would have to wait while zeros are looked
    for; in bf16, torch's convolutions stay as they are. There are no second derivatives.
    """
    autocast = autocast_for(precision, device)
    if device.type != "cpu":
        return autocast

    @contextmanager
    def context() -> Iterator[None]:
        with autocast(), LiveConvolutions():
            yield

    return context


class LiveConvolutions(TorchFunctionMode):
    """Replaces `torch.conv2d` where it pays."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if function is torch.conv2d:
            found = _convolve(*args, **(kwargs or {}))
            if found is not None:
                return found
        return function(*args, **(kwargs or {}))


def _convolve(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: str | int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Tensor | None:
    """Return what torch.conv2d returns; None where its own way is faster, or may be."""
    if groups > 1 or isinstance(padding, str) or not _fit(input, weight, bias):
        return None
    if torch.is_autocast_enabled("cpu"):
        return None
    if weight.numel() < _LEAST * (weight.shape[0] + weight.shape[1]):
        return None
    with torch.no_grad():
        used = weight.flatten(2).any(2)
    rows, columns = _numbers(used.any(1)), _numbers(used.any(0))
    if len(rows) * len(columns) > _MOST * used.numel():
        return None
    settings = (stride, padding, dilation)
    sizes = [[value] if isinstance(value, int) else [*value] for value in settings]
    found = _LiveConvolution.apply(input, weight, rows, columns, sizes)
    return found if bias is None else found + bias[:, None, None]


def _fit(input: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Return whether they are a batch and its layer, in single or double precision on a CPU."""
    tensors = [input, weight] if bias is None else [input, weight, bias]
    number = input.dtype
    if number not in (torch.float32, torch.float64) or any(t.dtype != number for t in tensors):
        return False
    if any(t.device.type != "cpu" for t in tensors) or input.dim() != 4 or weight.dim() != 4:
        return False
    return input.shape[1] == weight.shape[1] and (bias is None or bias.shape == weight.shape[:1])


class _LiveConvolution(torch.autograd.Function):
    """A convolution (B, I, H, W) → (B, O, H', W') by a weight (O, I, h, w).

    rows, columns: outputs and inputs that a nonzero weight has.
    sizes: stride, padding and dilation; of each, one number or two.
    """

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        weight: Tensor,
        rows: Tensor,
        columns: Tensor,
        sizes: list[list[int]],
    ) -> Tensor:
        part = weight[rows][:, columns]
        ctx.save_for_backward(input, weight, rows, columns)
        ctx.sizes = sizes
        stride, padding, dilation = sizes
        found = torch.conv2d(input[:, columns], part, None, stride, padding, dilation)
        output = found.new_zeros((len(found), len(weight), *found.shape[2:]))
        output = output.contiguous(memory_format=_format(input))
        return output.index_copy_(1, rows, found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        input, weight, rows, columns = ctx.saved_tensors
        of_input = of_weight = None
        if ctx.needs_input_grad[0]:
            part = weight[rows][:, columns]
            found = _backward(grad[:, rows], input[:, columns], part, ctx.sizes, 0)
            of_input = torch.zeros_like(input).index_copy_(1, columns, found)
        if ctx.needs_input_grad[1]:
            of_weight = torch.zeros_like(weight)
            outputs, inputs = _numbers(_nonzero(grad)), _numbers(_nonzero(input))
            part = weight.new_empty((len(outputs), len(inputs), *weight.shape[2:]))
            found = _backward(grad[:, outputs], input[:, inputs], part, ctx.sizes, 1)
            of_weight[outputs[:, None], inputs] = found
        return of_input, of_weight, None, None, None


def _backward(
    grad: Tensor, input: Tensor, weight: Tensor, sizes: list[list[int]], which: int
) -> Tensor:
    """Return the gradient of the input (0) or of the weight (1)."""
    stride, padding, dilation = sizes
    mask = [which == 0, which == 1, False]
    # What is left of a safe convolution may be one that oneDNN overruns.
    unsafe = overruns(weight.shape[1], weight.shape[2:], stride)
    with without_onednn(unsafe):
        found: Tensor = torch.ops.aten.convolution_backward(
            grad, input, weight, None, stride, padding, dilation, False, [0], 1, mask
        )[which]
    return found


def _nonzero(values: Tensor) -> Tensor:
    """Return which channels of (B, C, H, W) are not zero everywhere."""
    return values.permute(0, 2, 3, 1).flatten(0, 2).any(0)


def _numbers(chosen: Tensor) -> Tensor:
    """Return the numbers of the chosen; that of the first one if none is."""
    found = chosen.nonzero().flatten()
    return found if len(found) else found.new_zeros(1)


def _format(tensor: Tensor) -> torch.memory_format:
    is_last = tensor.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if is_last else torch.contiguous_format
