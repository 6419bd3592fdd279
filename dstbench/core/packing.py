"""Packing: a masked network as it is written to disk, without its dead weights.

A packed network is a dict of tensors:

    live    name → (indices, values) of a masked tensor's live weights; flat indices in row-major
            order for every memory layout, so that other tools can read them
    shapes  name → shape of a masked tensor; networks packed by earlier versions have none
    rest    name → tensor: every other parameter, and persistent buffers

A tensor that several layers share is stored once.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dstbench.core.masks import Masks, flat, row_index, storage_index

Packed = dict[str, Any]


def kept_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return name → each parameter once, and each persistent buffer."""
    kept = model.state_dict(keep_vars=True)
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in kept}
    return {**dict(model.named_parameters()), **buffers}


def pack_network(model: nn.Module, masks: Masks) -> Packed:
    """Copy a masked network to the CPU, without its dead weights."""
    live, rest, shapes = {}, {}, {}
    for name, tensor in kept_tensors(model).items():
        if name in masks:
            index = masks.index(name)
            rows, order = row_index(tensor, index).sort()
            narrow = torch.int32 if tensor.numel() < 2**31 else torch.int64
            live[name] = (rows.to(narrow).cpu(), flat(tensor)[index][order].cpu())
            shapes[name] = list(tensor.shape)
        else:
            rest[name] = tensor.detach().cpu().clone()
    return {"live": live, "shapes": shapes, "rest": rest}


def unpacked(packed: Packed) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return name → dense tensor in row order, and name → mask of those that have one.

    Raises ValueError: for a network without shapes, or positions that are not ascending below the
        tensor's size.
    """
    tensors, masks = dict(packed["rest"]), {}
    for name, (rows, values) in packed["live"].items():
        if name not in packed.get("shapes", {}):
            raise ValueError(f"it has no shape of {name}: it was made by an earlier version")
        whole = torch.zeros(packed["shapes"][name], dtype=values.dtype)
        if not positions_fit(rows, values, whole.numel()):
            raise ValueError(f"the positions of {name} are not ascending below {whole.numel()}")
        whole.view(-1)[rows.long()] = values
        tensors[name], masks[name] = whole, torch.zeros_like(whole, dtype=torch.bool)
        masks[name].view(-1)[rows.long()] = True
    return tensors, masks


@torch.no_grad()
def load_network_(model: nn.Module, masks: Masks, packed: Packed) -> None:
    """Write a packed network into `model` and `masks`, in place; shared tensors stay shared.

    Tensors that the model does not have (modules used in training only) are ignored.

    Raises KeyError: when the packed network lacks a tensor of the model.
    Raises IndexError: for positions that are not ascending, or not in the tensor.
    """
    for name, tensor in kept_tensors(model).items():
        if name in packed["live"]:
            rows, values = packed["live"][name]
            if not positions_fit(rows, values, tensor.numel()):
                raise IndexError(f"{name}: its positions are not ascending below {tensor.numel()}")
            index = storage_index(tensor, rows.to(tensor.device, torch.int64))
            flat(tensor).zero_()[index] = values.to(tensor.device)
            masks.write_(name, index)
        else:
            tensor.copy_(packed["rest"][name])


def positions_fit(positions: Tensor, values: Tensor, numel: int) -> bool:
    """Return whether positions are whole numbers in [0, numel), ascending, one for each value."""
    if positions.dtype not in (torch.int32, torch.int64) or positions.dim() != 1:
        return False
    if positions.shape != values.shape:
        return False
    inside = not len(positions) or 0 <= int(positions[0]) <= int(positions[-1]) < numel
    return inside and bool((positions[1:] > positions[:-1]).all())


def pack_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Copy named tensors to the CPU; booleans take one bit per element."""
    packed: dict[str, Any] = {}
    for name, tensor in tensors.items():
        if tensor.dtype == torch.bool:
            bits = np.packbits(tensor.cpu().numpy().reshape(-1))
            packed[name] = (torch.from_numpy(bits), list(tensor.shape))
        else:
            packed[name] = tensor.detach().cpu().clone()
    return packed


def load_tensors(packed: Mapping[str, Any], device: torch.device | str) -> dict[str, Tensor]:
    """Return the tensors that `pack_tensors` packed, on `device`."""
    tensors: dict[str, Tensor] = {}
    for name, value in packed.items():
        if isinstance(value, Tensor):
            tensors[name] = value.to(device, copy=True)
        else:
            bits, shape = value
            count = int(np.prod(shape, dtype=np.int64))
            unpacked = np.unpackbits(bits.numpy(), count=count).astype(bool).reshape(shape)
            tensors[name] = torch.from_numpy(unpacked).to(device)
    return tensors
