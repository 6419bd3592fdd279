"""Where a forward pass multiplies by prunable tensors, and at how many positions.

A *use* is one call of a function with one tensor; a tensor that several layers share has several.
Output positions come from one forward pass of a copy without values; the model is never touched.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from dstbench.core.prunable import prunable
from dstbench.models.copies import preserve_rng, shadow


@dataclass(frozen=True)
class Use:
    """One place of the forward pass that multiplies by a prunable tensor.

    name: the tensor, as `prunable` calls it.
    positions: how often each of its weights is multiplied for one input; one number for each of
        equal blocks of its rows (attention packs three projections into one tensor).
    """

    name: str
    positions: tuple[int, ...]


def uses(model: nn.Module, input_shape: tuple[int, ...]) -> list[Use]:
    """Every use of a prunable tensor in one forward pass of one input, in the order of the calls.

    input_shape: of one input without the batch, such as (3, 32, 32). Leaves the model, its buffers
    and the random generators as they are. A model whose forward pass depends on values is run for
    real, on zeros.
    """
    with preserve_rng(next(model.parameters())):
        try:
            twin = shadow(model, lambda t: torch.empty_like(t, device="meta"))
            with torch.device("meta"):
                return _trace(twin, input_shape)
        except (RuntimeError, TypeError):  # what tensors without values raise when asked for them
            return _trace(shadow(model, Tensor.clone), input_shape)


def _trace(model: nn.Module, input_shape: tuple[int, ...]) -> list[Use]:
    like = next(model.parameters())
    calls = _Calls(model)
    with torch.no_grad(), calls:
        model(like.new_zeros((1, *input_shape)))
    return calls.uses


class _Calls(TorchFunctionMode):
    """Notes every call of a function that multiplies by a prunable tensor.

    Functions rather than modules: a module may use the weight of another, and attention does. What
    is made of a weight in its own shape, such as its product with a scale, stands for it.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.uses: list[Use] = []
        self.names = {id(weight): name for name, weight in prunable(model).items()}
        self.made: list[Tensor] = []  # kept, for as long as their ids are

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func in _MULTIPLIES:
            for weight, positions in _MULTIPLIES[func](result, *args, **kwargs):
                if id(weight) in self.names:
                    self.uses.append(Use(self.names[id(weight)], positions))
        elif isinstance(result, Tensor):
            for given in args:
                if id(given) in self.names and given.shape == result.shape:
                    self.names[id(result)] = self.names[id(given)]
                    self.made.append(result)
        return result


Multiplied = list[tuple[Tensor | None, tuple[int, ...]]]


def _by_outputs(result: Tensor, input: Tensor, weight: Tensor, *_: Any, **__: Any) -> Multiplied:
    return [(weight, (result.numel() // weight.shape[0],))]  # (outputs, …)


def _by_inputs(result: Tensor, input: Tensor, weight: Tensor, *_: Any, **__: Any) -> Multiplied:
    return [(weight, (input.numel() // weight.shape[0],))]  # (inputs, …)


def _bilinear(
    result: Tensor, input1: Tensor, input2: Tensor, weight: Tensor, *_: Any
) -> Multiplied:
    return _by_outputs(result, input1, weight)


def _attention(result: Any, *args: Any, **kwargs: Any) -> Multiplied:
    given = inspect.signature(F.multi_head_attention_forward).bind(*args, **kwargs).arguments
    queries, keys, values = (
        given[side].numel() // given[side].shape[-1] for side in ("query", "key", "value")
    )
    return [
        (given["in_proj_weight"], (queries, keys, values)),
        (given.get("q_proj_weight"), (queries,)),
        (given.get("k_proj_weight"), (keys,)),
        (given.get("v_proj_weight"), (values,)),
        (given["out_proj_weight"], (queries,)),
    ]


_MULTIPLIES: dict[Any, Callable[..., Multiplied]] = {
    F.linear: _by_outputs,
    F.bilinear: _bilinear,
    F.multi_head_attention_forward: _attention,
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d), _by_outputs),
    **dict.fromkeys((F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d), _by_inputs),
}
