"""Which action each torch function is.

A *reader* takes the tensors traced so far, the function's result and its arguments, and returns
the action, or None where the result is the same value as the input.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.nn import functional as F

from dstbench.graph.steps import (
    Action,
    Affine,
    BatchNorm,
    Convolution,
    Flatten,
    Pair,
    Pool,
    Relu,
    Sum,
)
from dstbench.graph.unsupported import Unsupported


@dataclass(frozen=True)
class StoredWeight:
    """A tensor of the network, multiplied by a number.

    name: of the tensor, as in `named_parameters`.
    tensor: the tensor itself.
    factor: the number.
    scale: name of the parameter that is the number, or None.
    """

    name: str
    tensor: Tensor
    factor: float = 1.0
    scale: str | None = None


@dataclass(frozen=True)
class TracedTensors:
    """What is known of the tensors of one forward pass.

    values: tensor → number of the value, for tensors computed from the image.
    weights: tensor → stored weight, for parameters and their products with numbers.
    buffers: tensor → its name.
    """

    values: dict[Tensor, int]
    weights: dict[Tensor, StoredWeight]
    buffers: dict[Tensor, str]

    def is_value(self, x: Any) -> bool:
        return isinstance(x, Tensor) and x in self.values

    def stored(self, weight: Tensor) -> StoredWeight:
        """Return the stored weight that a tensor is; a computed tensor counts as one itself."""
        if weight not in self.weights:
            self.weights[weight] = StoredWeight(f"computed {len(self.weights)}", weight)
        return self.weights[weight]

    def parameter(self, tensor: Tensor | None) -> str | None:
        """Return the name of a parameter; None for another tensor."""
        stored = None if tensor is None else self.weights.get(tensor)
        return stored.name if stored is not None and stored.tensor is tensor else None


def _refuse(why: str) -> NoReturn:
    raise Unsupported(why)


def _pair(value: Any) -> Pair:
    first, *rest = value if isinstance(value, (tuple, list)) else (value, value)
    return int(first), int(rest[0]) if rest else int(first)


def _convolution(
    traced: TracedTensors, weight: Tensor, bias: Tensor | None, **settings: Any
) -> Convolution:
    stored = traced.stored(weight)
    values = stored.tensor.detach().double().numpy()
    if values.ndim == 2:
        values = values[:, :, None, None]
    shift = None if bias is None else bias.detach().double().numpy()
    settings |= {"scale": stored.scale, "bias_name": traced.parameter(bias)}
    return Convolution(values, stored.factor, stored.name, shift, **settings)


def _conv2d(
    traced: TracedTensors,
    result: Tensor,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Action:
    dilation = _pair(dilation)
    if padding == "same":
        spans = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        padding = (spans[0] // 2, spans[1] // 2)
    else:
        padding = (0, 0) if padding == "valid" else _pair(padding)
    return _convolution(
        traced,
        weight,
        bias,
        stride=_pair(stride),
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


def _linear(
    traced: TracedTensors, result: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Action:
    if input.dim() != 2:
        _refuse(f"linear on {input.dim()} dimensions")
    one = (1, 1)
    return _convolution(traced, weight, bias, stride=one, padding=(0, 0), dilation=one, groups=1)


def _batch_norm(
    traced: TracedTensors,
    result: Tensor,
    input: Tensor,
    mean: Tensor | None,
    var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Action:
    if training or mean is None or var is None:
        _refuse("batch norm without running statistics")
    scale = 1 / (var.double() + eps).sqrt()
    scale = scale if weight is None else scale * weight.double()
    shift = -mean.double() * scale
    shift = shift if bias is None else shift + bias.double()
    return Affine(
        scale.numpy(), shift.numpy(), _norm(traced, mean, var, weight, bias, momentum, eps)
    )


def _norm(
    traced: TracedTensors,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    momentum: float,
    eps: float,
) -> BatchNorm | None:
    """Return the tensors of a batch norm; None where one of them is computed."""
    averages = traced.buffers.get(mean), traced.buffers.get(var)
    names = traced.parameter(weight), traced.parameter(bias)
    computed = [n is None and t is not None for n, t in zip(names, (weight, bias), strict=True)]
    if averages[0] is None or averages[1] is None or any(computed):
        return None
    return BatchNorm(*names, averages[0], averages[1], momentum, eps)


def _relu(traced: TracedTensors, result: Tensor, input: Tensor, inplace: bool = False) -> Action:
    if inplace and input._base is not None:
        _refuse("relu in place on a view")
    return Relu()


def _relu_(traced: TracedTensors, result: Tensor, input: Tensor) -> Action:
    return _relu(traced, result, input, inplace=True)


def _add(traced: TracedTensors, result: Tensor, a: Any, b: Any, *, alpha: Any = 1) -> Action:
    if not (traced.is_value(a) and traced.is_value(b) and alpha == 1 and a.shape == b.shape):
        _refuse("a sum with something else than a value of the same shape")
    if result is a and (a._base is not None or any(t._base is a for t in traced.values)):
        _refuse("a sum in place of what has a view")
    return Sum()


def _max_pool2d(
    traced: TracedTensors,
    result: Tensor,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Action:
    if _pair(dilation) != (1, 1) or return_indices:
        _refuse("max pooling with dilation or indices")
    return Pool(True, _pair(kernel_size), _pair(stride or kernel_size), _pair(padding))


def _avg_pool2d(
    traced: TracedTensors,
    result: Tensor,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Action:
    uneven = _pair(padding) != (0, 0) and not count_include_pad
    if ceil_mode or uneven or divisor_override is not None:
        _refuse("average pooling whose windows differ in size")
    return Pool(False, _pair(kernel_size), _pair(stride or kernel_size), _pair(padding))


def _adaptive(maximum: bool) -> Callable[..., Action]:
    def read(
        traced: TracedTensors,
        result: Tensor,
        input: Tensor,
        output_size: Any,
        return_indices: bool = False,
    ) -> Action:
        if return_indices:
            _refuse("adaptive pooling with indices")
        window = []
        for size, outputs in zip(input.shape[2:], result.shape[2:], strict=True):
            if size % outputs:
                _refuse(f"adaptive pooling of {size} pixels to {outputs}")
            window.append(size // outputs)
        return Pool(maximum, _pair(window), _pair(window), (0, 0))

    return read


def _reshape(
    traced: TracedTensors, result: Tensor, input: Tensor, *_: Any, **__: Any
) -> Action | None:
    if result.shape == input.shape:
        return None
    if result.dim() == 2 and result.shape[0] == 1:
        return Flatten()
    _refuse(f"reshaping {list(input.shape)} to {list(result.shape)}")


def _identity(traced: TracedTensors, result: Tensor, input: Tensor, *_: Any, **__: Any) -> None:
    if result.dtype != input.dtype:
        _refuse(f"a conversion from {input.dtype} to {result.dtype}")


def _dropout(
    traced: TracedTensors,
    result: Tensor,
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
) -> None:
    if training:
        _refuse("dropout in training mode")


_RESHAPES = (
    torch.flatten,
    torch.reshape,
    torch.squeeze,
    Tensor.flatten,
    Tensor.view,
    Tensor.reshape,
    Tensor.squeeze,
)
_IDENTITIES = (Tensor.contiguous, Tensor.to, Tensor.float, Tensor.clone, Tensor.detach)
READERS: dict[Any, Callable[..., Action | None]] = {
    F.conv2d: _conv2d,
    F.linear: _linear,
    F.batch_norm: _batch_norm,
    **dict.fromkeys((F.relu, torch.relu, Tensor.relu), _relu),
    **dict.fromkeys((F.relu_, torch.relu_, Tensor.relu_), _relu_),
    **dict.fromkeys((torch.add, Tensor.add, Tensor.__add__, Tensor.add_, Tensor.__iadd__), _add),
    **dict.fromkeys((F.max_pool2d, torch.max_pool2d), _max_pool2d),
    F.avg_pool2d: _avg_pool2d,
    F.adaptive_avg_pool2d: _adaptive(False),
    F.adaptive_max_pool2d: _adaptive(True),
    **dict.fromkeys(_RESHAPES, _reshape),
    **dict.fromkeys(_IDENTITIES, _identity),
    **dict.fromkeys((F.dropout, F.dropout2d), _dropout),
}
