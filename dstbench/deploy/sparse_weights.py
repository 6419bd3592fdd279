"""`weights.safetensors`: the trained tensors of a sparse network, for any reader of safetensors.

Of a sparse tensor NAME only the live weights are stored (COO, in row order):

    NAME.indices  int32 or int64 (live,), flat indices in row order
    NAME.values   (live,)

Every other parameter and buffer is stored unchanged, and a tensor that several layers share is
stored once. Metadata: `format` ("dstbench.weights"), `version`, and `shapes`, JSON, the shape of
every sparse tensor.
"""

import json
from pathlib import Path

from torch import Tensor, nn

from dstbench.core.masks import Masks
from dstbench.core.packing import load_network_, pack_network
from dstbench.errors import UserError

FORMAT, VERSION = "dstbench.weights", 1


def write_weights(model: nn.Module, masks: Masks) -> bytes:
    """Return the network's tensors as the bytes of a file."""
    from safetensors.torch import save

    packed = pack_network(model, masks)
    tensors: dict[str, Tensor] = {name: t.contiguous() for name, t in packed["rest"].items()}
    for name, (indices, values) in packed["live"].items():
        tensors[f"{name}.indices"], tensors[f"{name}.values"] = indices, values
    shapes = {name: list(masks.parameters[name].shape) for name in packed["live"]}
    metadata = {"format": FORMAT, "version": str(VERSION), "shapes": json.dumps(shapes)}
    return save(tensors, metadata)


def read_weights_(path: Path, model: nn.Module, masks: Masks) -> None:
    """Copy a file's tensors into `model` and `masks`, in place.

    Raises UserError: when the file is not one of sparse weights, or does not fit the model.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: cannot be read as safetensors ({error}).") from None
    if metadata.get("format") != FORMAT or int(metadata.get("version", 0)) > VERSION:
        raise UserError(f"{path}: is not a file of sparse weights that this dstbench can read.")
    shapes = json.loads(metadata["shapes"])
    expected = {name: list(parameter.shape) for name, parameter in masks.parameters.items()}
    for name, shape in shapes.items():
        if expected.get(name) != shape:
            raise UserError(
                f"{path}: {name} has shape {shape}, the model's has {expected.get(name)}. "
                "Build the model that the run trained."
            )
    live = {
        name: (tensors.pop(f"{name}.indices"), tensors.pop(f"{name}.values")) for name in shapes
    }
    try:
        load_network_(model, masks, {"live": live, "rest": tensors})
    except KeyError as error:
        raise UserError(f"{path}: lacks {error}, which the model has.") from None
