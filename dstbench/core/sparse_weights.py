"""The tensors of a sparse network as a file, `weights.safetensors`, for any reader of safetensors.

Of a sparse tensor NAME only the live weights are stored (COO, in row order):

    NAME.indices  int32 or int64 (live,), flat indices in row order
    NAME.values   (live,)

Every other parameter and buffer is stored unchanged, and a tensor that several layers share is
stored once. Metadata: `format` ("dstbench.weights"), `version`, `shapes`, JSON, the shape of every
sparse tensor, and a checksum. The same network gives the same bytes.
"""

import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from dstbench.core.masks import Masks
from dstbench.core.packing import kept_tensors, load_network_, pack_network, positions_fit
from dstbench.errors import UserError
from dstbench.utils.json_text import parse_json
from dstbench.utils.safetensors_bytes import CHECKSUM, checksum, signed, split

FORMAT, VERSION = "dstbench.weights", 1


def write_weights(model: nn.Module, masks: Masks) -> bytes:
    """Return the network's tensors as the bytes of a file."""
    packed = pack_network(model, masks)
    tensors: dict[str, Tensor] = {name: t.contiguous() for name, t in packed["rest"].items()}
    for name, (indices, values) in packed["live"].items():
        tensors[f"{name}.indices"], tensors[f"{name}.values"] = indices, values
    shapes = {name: list(masks.parameters[name].shape) for name in packed["live"]}
    metadata = {"format": FORMAT, "version": str(VERSION), "shapes": json.dumps(shapes)}
    return signed(save(tensors, metadata))


def read_weights_(path: Path, model: nn.Module, masks: Masks) -> None:
    """Copy a file's tensors into `model` and `masks`, in place.

    Raises UserError: when the file is not one of sparse weights, or does not fit the model.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
    load_weights_(content, str(path), model, masks)


def load_weights_(content: bytes, source: str, model: nn.Module, masks: Masks) -> None:
    """Copy the tensors in a file's bytes into `model` and `masks`, in place.

    source: name of the file, for messages.

    Raises UserError: when they are not sparse weights, or do not fit the model.
    """
    try:
        header, body = split(content)
        metadata = header.get("__metadata__", {})
        if CHECKSUM in metadata and metadata[CHECKSUM] != checksum(header, body):
            raise ValueError("it is damaged: its content does not match its checksum")
        tensors = load(content)
        ours = metadata.get("format") == FORMAT and int(metadata["version"]) <= VERSION
        shapes = parse_json(metadata["shapes"]) if ours else None
    except (SafetensorError, ValueError, KeyError) as error:
        raise UserError(f"{source}: cannot be read as safetensors ({error}).") from None
    if not isinstance(shapes, dict):
        raise UserError(f"{source}: is not a file of sparse weights that this dstbench can read.")
    expected = {name: list(parameter.shape) for name, parameter in masks.parameters.items()}
    for name, shape in shapes.items():
        if expected.get(name) != shape:
            raise UserError(
                f"{source}: {name} has shape {shape}, the model's has {expected.get(name)}. "
                "Build the model that the run trained."
            )
    try:
        live = {
            name: (tensors.pop(f"{name}.indices"), tensors.pop(f"{name}.values")) for name in shapes
        }
        _check_fit(source, model, live, tensors)
        load_network_(model, masks, {"live": live, "rest": tensors})
    except KeyError as error:
        raise UserError(f"{source}: lacks {error}, which the model has.") from None


def _check_fit(
    source: str,
    model: nn.Module,
    live: dict[str, tuple[Tensor, Tensor]],
    rest: dict[str, Tensor],
) -> None:
    """Raise UserError unless loading would copy each tensor as it is, and there is no other."""
    kept = kept_tensors(model)
    if further := sorted(rest.keys() - kept.keys()):
        raise UserError(f"{source}: has {', '.join(further)}, which the model lacks.")
    for name, tensor in kept.items():
        if name in live:
            indices, values = live[name]
            if not positions_fit(indices, values, tensor.numel()):
                raise UserError(
                    f"{source}: {name} has no list of ascending indices below {tensor.numel():,}, "
                    "one for each value."
                )
            stored = values
        else:
            stored = rest[name]
            if stored.shape != tensor.shape:
                raise UserError(
                    f"{source}: {name} has shape {list(stored.shape)}, the model's has "
                    f"{list(tensor.shape)}. Build the model that the run trained."
                )
        if stored.dtype != tensor.dtype:
            raise UserError(f"{source}: {name} is {stored.dtype}, the model's is {tensor.dtype}.")
