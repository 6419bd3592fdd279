"""Cost of a masked network, counted analytically: multiply-accumulates (MACs), weights, storage.

MACs are those of prunable tensors only (convolutions, linear layers, projections of attention):
a live weight is multiplied once at every output position. If a layer adds a dense offset to its
weights, as DCTpS does, the MACs of the offset are added. Bias, normalisation, activations, pooling
and the products inside attention are not counted; matrix products among them are
listed as `uncounted`. FLOPs = 2 × MACs. A tensor that several layers
share costs MACs at each of its uses (see call_sites.py), and storage once.

A module may declare two things about its cost:
offset_macs(positions): MACs of the dense offset of its `weight`, over all positions.
training_only = True: the module is not part of the deployed network.
"""

from typing import Any

from torch import Tensor, nn

from dstbench.core.masks import Masks
from dstbench.core.packing import kept_tensors
from dstbench.core.prunable import left_out, unpruned
from dstbench.data.images import Shape
from dstbench.metrics.call_sites import CallSite, recorded_calls
from dstbench.recording.types import Cost, LayerCost
from dstbench.recording.uncounted import OTHER_USES


def cost(
    model: nn.Module,
    masks: Masks,
    input_shape: Shape,
    dense_numel: int | None = None,
    dense_macs: int | None = None,
) -> Cost:
    """Return the cost of one input; `recording.types.Cost` documents the fields.

    masks: live weights; an unmasked tensor is all live.
    input_shape: (channels, height, width).
    dense_numel: prunable weights of the original network, if parts have changed `model` since.
    dense_macs: MACs of the original network, in the same case.
    """
    of_tensor: dict[str, list[CallSite]] = {name: [] for name in masks.parameters}
    calls = recorded_calls(model, input_shape)
    for use in calls.sites:
        of_tensor[use.name].append(use)
    offsets: dict[int, Any] = {
        id(module.weight): module for module in model.modules() if hasattr(module, "offset_macs")
    }
    layers: list[LayerCost] = []
    for name, weight in masks.parameters.items():
        size, uses = weight.numel(), of_tensor[name]
        layer_macs = sum(dense_macs_of(masks, use) for use in uses)
        positions = layer_macs // size
        module = offsets.get(id(weight))
        offset_macs = round(module.offset_macs(positions)) if module else 0
        layers.append(
            {
                "name": name,
                "shape": list(weight.shape),
                "live": masks.live(name),
                "size": size,
                "uses": len(uses),
                "positions": positions,
                "macs": sum(live_macs_of(masks, use) for use in uses) + offset_macs,
                "offset_macs": offset_macs,
                "dense_macs": layer_macs,
            }
        )
    macs = sum(layer["macs"] for layer in layers)
    if dense_macs is None:
        dense_macs = sum(layer["dense_macs"] for layer in layers)
    stored = sum(layer["size"] for layer in layers)
    counted: Cost = {
        "macs": macs,
        "dense_macs": dense_macs,
        "offset_macs": sum(layer["offset_macs"] for layer in layers),
        "flops": 2 * macs,
        "dense_flops": 2 * dense_macs,
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
    uncounted = calls.uncounted | {
        f"{OTHER_USES} {name}": 1 for name in counted["unused"] if name in calls.touched
    }
    if uncounted:
        counted["uncounted"] = uncounted
    if (dense := unpruned(model)).sizes:
        counted |= {"unpruned": dense.sizes, "unpruned_fraction": dense.fraction}
    return counted


def dense_macs_of(masks: Masks, use: CallSite) -> int:
    """Return all weights × positions, summed over the use's blocks of rows."""
    return masks.parameters[use.name].numel() * sum(use.positions) // len(use.positions)


def live_macs_of(masks: Masks, use: CallSite) -> int:
    """Return live weights × positions, summed over the use's blocks of rows."""
    if len(set(use.positions)) == 1 or use.name not in masks:
        return masks.live(use.name) * sum(use.positions) // len(use.positions)
    blocks = masks[use.name].chunk(len(use.positions))
    return sum(int(b.sum()) * p for b, p in zip(blocks, use.positions, strict=True))


def training_only_parameters(model: nn.Module) -> int:
    """Return the elements of training-only parameters, each counted once.

    A method's `finish` removes these parameters, so count them before it.
    """
    return sum(t.numel() for t in _training_only(model).values() if isinstance(t, nn.Parameter))


def _training_only(model: nn.Module) -> dict[int, Tensor]:
    """Return id → tensor for every parameter and buffer of a training-only module."""
    return {
        id(tensor): tensor
        for module in model.modules()
        if getattr(module, "training_only", False)
        for tensor in (*module.parameters(), *module.buffers())
    }


def deployed_bytes(model: nn.Module, masks: Masks) -> int:
    """Return the estimated size of the finished network in a file, without header or compression.

    Masked tensor: each live value and its flat index in 1, 2, 4 or 8 bytes, whichever can number
        the tensor's elements; or all elements, where that is smaller.
    Unmasked parameter, persistent buffer: all elements.

    Each tensor is counted once, in its own precision. Not counted: training-only modules, batch
    norm's `num_batches_tracked`, and tensors that are rebuilt on loading, such as the DCT matrices
    of DCTpS.
    """
    training_only = _training_only(model)
    total = 0
    for name, tensor in kept_tensors(model).items():
        if id(tensor) in training_only or name.endswith("num_batches_tracked"):
            continue
        size = tensor.numel() * tensor.element_size()
        if name in masks:
            index = next(b for b in (1, 2, 4, 8) if tensor.numel() <= 256**b)
            size = min(size, masks.live(name) * (tensor.element_size() + index))
        total += size
    return total
