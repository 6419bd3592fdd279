"""What a masked network costs, counted analytically: multiply-accumulates, weights, storage.

MACs are those of prunable tensors only (convolutions, linear layers, attention's projections): a
live weight is multiplied once at every output position. Where a layer adds a fixed transform to its
weights, as DCTpS does, the transform's come on top. Bias, normalisation, activations, pooling and
the products inside attention are not counted. FLOPs = 2 × MACs. A tensor that several layers share
costs MACs at each of its uses (see uses.py), and storage once.

A module may say two things about its cost: `offset_macs(positions)`, what the fixed transform
beside its `weight` costs; and `training_only = True`, that it is no part of the deployed network.
"""

from typing import Any

from torch import Tensor, nn

from dstbench.core.masks import Masks
from dstbench.core.prunable import left_out
from dstbench.metrics.call_sites import Use, uses


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
