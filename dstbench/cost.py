"""What a masked network costs, counted analytically: multiply-accumulates, weights, storage.

MACs are those of prunable tensors only (convolutions, linear layers, attention's projections): a
live weight is multiplied once at every output position. Where a layer adds a fixed transform to its
weights, as DCTpS does, the transform's come on top. Bias, normalisation, activations, pooling and
the products inside attention are not counted. FLOPs = 2 × MACs. What is counted is a *use*, one
call of a function with one tensor: a tensor that several layers share costs MACs at each of them,
and storage once.

A module may say two things about its cost: `offset_macs(positions)`, what the fixed transform
beside its `weight` costs; and `training_only = True`, that it is no part of the deployed network.

Output positions come from one forward pass of a copy without values; the model is never touched.
"""

import copy
import inspect
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from dstbench.masks import Masks
from dstbench.prunable import left_out, prunable


@dataclass(frozen=True)
class Use:
    """One place of the forward pass that multiplies by a prunable tensor.

    name: the tensor, as `prunable` calls it.
    positions: how often each of its weights is multiplied for one input; one number for each of
        equal blocks of its rows (attention packs three projections into one tensor).
    """

    name: str
    positions: tuple[int, ...]


def shadow(model: nn.Module, replace: Callable[[Tensor], Tensor]) -> nn.Module:
    """A copy of `model` in eval mode, without hooks, to be run instead of it.

    replace: makes the copy's value of a parameter or buffer; what the model shares, the copy
    shares. The model's own tensors are not copied, so this is cheap.
    """
    with torch.no_grad():
        memo: dict[int, Any] = {id(b): replace(b) for b in model.buffers()}
        memo |= {id(p): nn.Parameter(replace(p)) for p in model.parameters()}
    for module in model.modules():
        for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks"):
            memo[id(getattr(module, hooks))] = OrderedDict()
    return copy.deepcopy(model, memo).eval()


def kept_rng(like: Tensor) -> AbstractContextManager[None]:
    """Inside, the random generators of the CPU and of `like`'s device may be drawn from freely."""
    return torch.random.fork_rng([like.get_device()] if like.is_cuda else [])


def uses(model: nn.Module, input_shape: tuple[int, ...]) -> list[Use]:
    """Every use of a prunable tensor in one forward pass of one input, in the order of the calls.

    input_shape: of one input without the batch, such as (3, 32, 32). Leaves the model, its buffers
    and the random generators as they are. A model whose forward pass depends on values is run for
    real, on zeros.
    """
    with kept_rng(next(model.parameters())):
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


def cost(
    model: nn.Module,
    masks: Masks,
    input_shape: tuple[int, int, int],
    dense_numel: int | None = None,
) -> dict[str, Any]:
    """The cost of one input of `input_shape` (channels, height, width), ready for JSON.

    dense_numel: prunable weights of the original network, if parts have changed `model` since.

    macs, dense_macs, flops, dense_flops
        of one input; dense: as if every weight were live, and without any fixed transform
    offset_macs
        the part of `macs` that fixed transforms cost, to the nearest whole one a layer
    live_weights
        each tensor once: the paper's "theoretical" storage
    stored_weights
        zeros included, each tensor once: its "GPU-supported" storage
    prunable_weights
        of the original network: the denominator of sparsity
    apparent_weights
        live weights counted at every use
    training_only_parameters
        of the modules that are there for training only, while `model` still has them
    deployed_bytes
        of the finished network in a file: see `deployed_bytes`
    layers
        one dict a tensor: name, shape, live, size, uses, positions (of all uses), macs,
        offset_macs (its part of them), dense_macs
    left_out
        name → elements of every parameter that is never pruned
    unused
        tensors that no counted function multiplied by; where the network does use them, the MACs
        lack them
    """
    of_tensor: dict[str, list[Use]] = {name: [] for name in masks.parameters}
    for use in uses(model, input_shape):
        of_tensor[use.name].append(use)
    transforms: dict[int, Any] = {
        id(module.weight): module for module in model.modules() if hasattr(module, "offset_macs")
    }
    layers: list[dict[str, Any]] = []
    for name, weight in masks.parameters.items():
        size, places = weight.numel(), of_tensor[name]
        dense_macs = sum(size * sum(u.positions) // len(u.positions) for u in places)
        positions = dense_macs // size
        transform = transforms.get(id(weight))
        offset_macs = round(transform.offset_macs(positions)) if transform else 0
        layers.append(
            {
                "name": name,
                "shape": list(weight.shape),
                "live": masks.live(name),
                "size": size,
                "uses": len(places),
                "positions": positions,
                "macs": sum(_live_macs(masks, use) for use in places) + offset_macs,
                "offset_macs": offset_macs,
                "dense_macs": dense_macs,
            }
        )
    macs = sum(layer["macs"] for layer in layers)
    total_dense_macs = sum(layer["dense_macs"] for layer in layers)
    stored = sum(layer["size"] for layer in layers)
    return {
        "macs": macs,
        "dense_macs": total_dense_macs,
        "offset_macs": sum(layer["offset_macs"] for layer in layers),
        "flops": 2 * macs,
        "dense_flops": 2 * total_dense_macs,
        "live_weights": masks.total(),
        "stored_weights": stored,
        "prunable_weights": stored if dense_numel is None else dense_numel,
        "apparent_weights": sum(layer["live"] * layer["uses"] for layer in layers),
        "training_only_parameters": training_only_parameters(model),
        "deployed_bytes": deployed_bytes(model, masks),
        "layers": layers,
        "left_out": left_out(model),
        "unused": [layer["name"] for layer in layers if not layer["uses"]],
    }


def _live_macs(masks: Masks, use: Use) -> int:
    """Live weights × positions, block of rows by block of rows."""
    if len(set(use.positions)) == 1 or use.name not in masks:
        return masks.live(use.name) * sum(use.positions) // len(use.positions)
    blocks = masks[use.name].chunk(len(use.positions))
    return sum(int(b.sum()) * p for b, p in zip(blocks, use.positions, strict=True))


def training_only_parameters(model: nn.Module) -> int:
    """Elements of the parameters that the deployed network does without, each once.

    A method's `finish` removes them, so they are to be counted before it.
    """
    return sum(t.numel() for t in _training_only(model).values() if isinstance(t, nn.Parameter))


def _training_only(model: nn.Module) -> dict[int, Tensor]:
    """id → parameter or buffer of every module that is there for training only."""
    return {
        id(tensor): tensor
        for module in model.modules()
        if getattr(module, "training_only", False)
        for tensor in (*module.parameters(), *module.buffers())
    }


def deployed_bytes(model: nn.Module, masks: Masks) -> int:
    """Estimate of the finished network in a file, without any header or compression.

    A masked tensor: every live value, and its position in the fewest of 1, 2, 4 or 8 bytes that
    number the tensor's elements; or all of its elements, where that is less. A parameter without a
    mask, and a buffer that a checkpoint keeps: all elements. Each tensor once, in its precision.
    Left out are what is there for training only, batch norm's counters of batches, and what is
    rebuilt rather than stored, as the cosine transforms of DCTpS are.
    """
    left = _training_only(model)
    stored = model.state_dict(keep_vars=True)
    tensors: dict[str, Tensor] = dict(model.named_parameters())
    tensors |= {name: b for name, b in model.named_buffers() if name in stored}
    total = 0
    for name, tensor in tensors.items():
        if id(tensor) in left or name.endswith("num_batches_tracked"):
            continue
        whole = tensor.numel() * tensor.element_size()
        if name in masks:
            index = next(b for b in (1, 2, 4, 8) if tensor.numel() <= 256**b)
            whole = min(whole, masks.live(name) * (tensor.element_size() + index))
        total += whole
    return total
