"""`weights.safetensors`: the trained tensors of a sparse network, for whatever reads safetensors.

A sparse tensor NAME is stored as its live weights alone (COO, in row order): `NAME.indices`, int32
or int64 (live,), positions in the flattened tensor, and `NAME.values` (live,). Every other
parameter and buffer is stored as it is. Metadata: `format` ("dstbench.weights"), `version`, and
`shapes`, JSON, the shape of every sparse tensor. A tensor that several layers share is stored once.
"""

import json
from pathlib import Path

from torch import Tensor, nn

from dstbench.core.masks import Masks
from dstbench.core.packing import load_network_, pack_network
from dstbench.errors import UserError

FORMAT, VERSION = "dstbench.weights", 1


def write_weights(model: nn.Module, masks: Masks) -> bytes:
    """The network's tensors as the bytes of a file."""
    from safetensors.torch import save

    packed = pack_network(model, masks)
    tensors: dict[str, Tensor] = {name: t.contiguous() for name, t in packed["rest"].items()}
    for name, (positions, values) in packed["live"].items():
        tensors[f"{name}.indices"], tensors[f"{name}.values"] = positions, values
    shapes = {name: list(masks.parameters[name].shape) for name in packed["live"]}
    metadata = {"format": FORMAT, "version": str(VERSION), "shapes": json.dumps(shapes)}
    return save(tensors, metadata)


def read_weights_(path: Path, model: nn.Module, masks: Masks) -> None:
    """Write a file's tensors into `model` and `masks`, in place.

    Raises UserError for a file that is none of these, or that does not fit the model.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: cannot be read as safetensors ({error}).") from None
    if metadata.get("format") != FORMAT or int(metadata.get("version", 0)) > VERSION:
        raise UserError(f"{path}: is no file of sparse weights that this dstbench knows.")
    shapes = json.loads(metadata["shapes"])
    own = {name: list(parameter.shape) for name, parameter in masks.parameters.items()}
    for name, shape in shapes.items():
        if own.get(name) != shape:
            raise UserError(
                f"{path}: {name} is of shape {shape}, and the model's of {own.get(name)}. "
                "Build the model that the run trained."
            )
    live = {name: (tensors.pop(f"{name}.indices"), tensors.pop(f"{name}.values"))
            for name in shapes}  # fmt: skip
    try:
        load_network_(model, masks, {"live": live, "rest": tensors})
    except KeyError as error:
        raise UserError(f"{path}: lacks {error}, which the model has.") from None
