"""Where a forward pass multiplies by prunable tensors, and at how many output positions.

A *call site* is one call of one function with one prunable tensor. A tensor that several layers
share has several. Positions come from one forward pass of a copy; the model itself is not run.
"""

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dstbench.core.prunable import prunable
from dstbench.core.random_generators import preserve_rng
from dstbench.models.function_recorder import FunctionRecorder, tensors_in
from dstbench.models.network_copy import copy_with


@dataclass(frozen=True)
class CallSite:
    """One call that multiplies by a prunable tensor.

    name: the tensor, as `prunable` names it.
    positions: multiplications of each weight for one input; one number for each of equal blocks of
        the tensor's rows (attention packs three projections into one tensor).
    """

    name: str
    positions: tuple[int, ...]


@dataclass(frozen=True)
class Calls:
    """The products of one forward pass.

    sites: the call sites of prunable tensors, in the order of the calls.
    uncounted: what is multiplied otherwise → number of calls: matrix products of activations, and
        layer functions whose weight is not prunable.
    touched: prunable tensors that any function reads.
    """

    sites: list[CallSite]
    uncounted: dict[str, int]
    touched: frozenset[str]


def recorded_calls(model: nn.Module, input_shape: tuple[int, ...]) -> Calls:
    """Return the products of one forward pass of one input of zeros.

    The model, its buffers and the random generators are unchanged. A model on the meta device is
    run there. One with values is not: torch's shape functions are slower than a forward pass, and
    the first one imports its compiler, for seconds.

    input_shape: of one input without the batch, such as (3, 32, 32).
    """
    like = next(model.parameters())
    with preserve_rng(like), like.device if like.is_meta else nullcontext():
        return _record(copy_with(model, Tensor.clone), input_shape)


def call_sites(model: nn.Module, input_shape: tuple[int, ...]) -> list[CallSite]:
    """Return every call site of one forward pass of one input, in the order of the calls."""
    return recorded_calls(model, input_shape).sites


def _record(model: nn.Module, input_shape: tuple[int, ...]) -> Calls:
    like = next(model.parameters())
    calls = _PrunableCalls(model)
    with torch.no_grad(), FunctionRecorder(calls.record, _BY_SHAPE if like.is_meta else None):
        model(like.new_zeros((1, *input_shape)))
    return Calls(calls.sites, calls.uncounted, frozenset(calls.touched))


def _batch_norm_by_shape(
    input: Tensor, running_mean: Tensor | None, *args: Any, **kwargs: Any
) -> Tensor:
    """Return an empty result: torch normalises a meta tensor in Python, and slowly."""
    if running_mean is None or input.dim() < 2 or input.shape[1] != len(running_mean):
        return F.batch_norm(input, running_mean, *args, **kwargs)  # which may refuse it
    return torch.empty_like(input)


_BY_SHAPE = {F.batch_norm: _batch_norm_by_shape}


class _PrunableCalls:
    """Collects the call sites of prunable tensors, and all other products.

    A result in the shape of a prunable tensor, such as its product with a scale, counts as that
    tensor.
    """

    def __init__(self, model: nn.Module):
        self.sites: list[CallSite] = []
        self.uncounted: dict[str, int] = {}
        self.touched: set[str] = set()
        self.parameters: dict[Tensor, str] = {p: n for n, p in model.named_parameters()}
        self.names: dict[Tensor, str] = {weight: name for name, weight in prunable(model).items()}

    def record(self, function: Any, result: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        if _has_tensor(result):  # not for a shape or a dtype
            tensors = tensors_in((*args, *kwargs.values()))
            self.touched |= {self.names[t] for t in tensors if t in self.names}
        if function in _MULTIPLIES:
            for weight, positions in _MULTIPLIES[function](result, *args, **kwargs):
                if weight is not None and weight in self.names:
                    self.sites.append(CallSite(self.names[weight], positions))
                elif weight is not None:
                    self._add_uncounted(function, (weight,))
            if function is F.multi_head_attention_forward:
                self._add_uncounted(function, ())
        elif getattr(function, "__name__", "") in _PRODUCTS:
            self._add_uncounted(function, args)
        elif isinstance(result, Tensor):
            for arg in args:
                if isinstance(arg, Tensor) and arg in self.names and arg.shape == result.shape:
                    self.names[result] = self.names[arg]
            self._follow_view(result, args)

    def _follow_view(self, result: Tensor, args: tuple) -> None:
        """Name the elements of a parameter in another shape as that parameter."""
        source, *others = (*tensors_in(args), None)
        if source in self.parameters and others == [None] and source.numel() == result.numel():
            self.parameters[result] = self.parameters[source]

    def _add_uncounted(self, function: Any, operands: tuple) -> None:
        """Count a call, by the function's name and those of the parameters among its operands."""
        what = _SPOKEN.get(function, function.__name__.strip("_"))
        matrices = (t for t in tensors_in(operands) if t.dim() > 1 and t in self.parameters)
        named = [self.parameters[t] for t in matrices]
        key = f"{what} with {' and '.join(named)}" if named else what
        self.uncounted[key] = self.uncounted.get(key, 0) + 1


def _has_tensor(result: Any) -> bool:
    return any(True for _ in tensors_in((result,)))


Multiplied = list[tuple[Tensor | None, tuple[int, ...]]]


def _by_outputs(result: Tensor, input: Tensor, weight: Tensor, *_: Any, **__: Any) -> Multiplied:
    return [(weight, (result.numel() // weight.shape[0],))]  # (outputs, …)


def _by_inputs(result: Tensor, input: Tensor, weight: Tensor, *_: Any, **__: Any) -> Multiplied:
    return [(weight, (input.numel() // weight.shape[0],))]  # (inputs, …)


def _bilinear(
    result: Tensor, input1: Tensor, input2: Tensor, weight: Tensor, *_: Any, **__: Any
) -> Multiplied:
    return _by_outputs(result, input1, weight)


def _attention(result: Any, *args: Any, **kwargs: Any) -> Multiplied:
    bound = inspect.signature(F.multi_head_attention_forward).bind(*args, **kwargs).arguments
    queries, keys, values = (
        bound[side].numel() // bound[side].shape[-1] for side in ("query", "key", "value")
    )
    return [
        (bound["in_proj_weight"], (queries, keys, values)),
        (bound.get("q_proj_weight"), (queries,)),
        (bound.get("k_proj_weight"), (keys,)),
        (bound.get("v_proj_weight"), (values,)),
        (bound["out_proj_weight"], (queries,)),
    ]


_MULTIPLIES: dict[Any, Callable[..., Multiplied]] = {
    F.linear: _by_outputs,
    F.bilinear: _bilinear,
    F.multi_head_attention_forward: _attention,
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d), _by_outputs),
    **dict.fromkeys((F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d), _by_inputs),
}

_SPOKEN = {F.multi_head_attention_forward: "products of queries, keys and values"}

# By name: a product is a function of torch, a method of tensors and an operator.
_PRODUCTS = frozenset(
    (
        *("matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "mv", "dot", "vdot", "vecdot"),
        *("inner", "einsum", "tensordot", "chain_matmul", "multi_dot"),
        *("addmm", "addmm_", "addbmm", "addbmm_", "baddbmm", "baddbmm_", "addmv", "addmv_"),
        *("scaled_dot_product_attention", "lstm", "gru", "rnn_tanh", "rnn_relu"),
        *("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"),
    )
)
