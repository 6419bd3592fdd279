"""`network.dst`: a program in one file. Reading needs numpy only; nothing in a file is executed.

The file is a safetensors file, so that other tools can open it: eight bytes, little endian, the
length of a JSON header; the header (name → dtype, shape and byte range of each tensor, and strings
under `__metadata__`); the bytes. The metadata are

    format   "dstbench.network"
    version  of the format
    program  JSON: image_shape, classes, shapes of constant planes
    about    JSON: description of the network
    sha256   of the header without it, as JSON with sorted keys, and the bytes

The tensors are the arrays of `Program`, in the smallest dtype that holds them. Constant planes are
stored as their distinct rows and columns: a plane that is constant except near its border has few.
Clips are stored for terms that have one.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from dstbench.deployment.runtime.packed_arrays import narrow, pack_planes, unpack_planes
from dstbench.deployment.runtime.program import NO_CLIP, Kind, Program
from dstbench.errors import UserError

FORMAT, VERSION = "dstbench.network", 1

_DTYPES = {
    "U8": np.uint8,
    "U16": np.uint16,
    "U32": np.uint32,
    "I32": np.int32,
    "F32": np.float32,
}
_INTEGERS = ("kind", "setting", "terms", "plane", "shift", "weight", "settings", "shifts")
_FLOATS = ("weights", "gain", "bias")


def write_bytes(program: Program) -> bytes:
    """Return the program as the bytes of a file. Needs the safetensors library."""
    from safetensors.numpy import save

    tensors = {name: narrow(getattr(program, name)) for name in _INTEGERS}
    tensors |= {name: np.ascontiguousarray(getattr(program, name)) for name in _FLOATS}
    tensors["relu"] = np.packbits(program.relu)
    clipped = np.flatnonzero(program.clip != NO_CLIP)
    tensors |= {"clipped": narrow(clipped), "clip": program.clip[clipped]}
    tensors |= pack_planes(program.constants)
    shape = {
        "image_shape": program.image_shape,
        "classes": program.classes,
        "planes": [plane.shape for plane in program.constants],
    }
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "program": json.dumps(shape),
        "about": json.dumps(program.about),
    }
    content = save(tensors, metadata)
    header, start = _header(content)
    return save(tensors, metadata | {"sha256": _checksum(header, content[start:])})


def read(path: Path) -> Program:
    """Return the program in a file.

    Raises UserError: when the file cannot be read, is damaged, of another format, or of a newer
        version.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
    try:
        return _program(content)
    except _InvalidFile as error:
        raise UserError(f"{path}: {error}") from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UserError(
            f"{path}: is not a complete network file ({error}). Deploy the run again."
        ) from None


class _InvalidFile(Exception):
    """A file that cannot be used; the message says why."""


def _program(content: bytes) -> Program:
    header, start = _header(content)
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise _InvalidFile("is not a network that dstbench compiled.")
    if int(metadata["version"]) > VERSION:
        raise _InvalidFile(
            f"has version {metadata['version']}; this dstbench reads up to {VERSION}. "
            "Install a newer dstbench."
        )
    if metadata.pop("sha256") != _checksum(header, content[start:]):
        raise _InvalidFile(
            "is damaged: its content does not match its checksum. Deploy the run again."
        )
    del header["__metadata__"]
    tensors = {name: _tensor(content, start, entry) for name, entry in header.items()}
    shape = json.loads(metadata["program"])
    operations, terms = len(tensors["kind"]), len(tensors["plane"])
    clip = np.full(terms, NO_CLIP, np.float32)
    clip[tensors["clipped"]] = tensors["clip"]
    program = Program(
        image_shape=tuple(shape["image_shape"]),
        classes=shape["classes"],
        constants=unpack_planes(tensors, shape["planes"]),
        relu=np.unpackbits(tensors["relu"], count=operations).astype(bool),
        clip=clip,
        about=json.loads(metadata["about"]),
        **{name: tensors[name] for name in (*_INTEGERS, *_FLOATS)},
    )
    _check(program)
    return program


def _header(content: bytes) -> tuple[dict[str, Any], int]:
    """Return the header and the index of the first byte after it."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 2 <= length <= len(content) - 8:
        raise _InvalidFile("is not a network file, or is cut off.")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError):
        raise _InvalidFile("is not a network that dstbench compiled.") from None
    if not isinstance(header, dict):
        raise _InvalidFile("is not a network that dstbench compiled.")
    return header, 8 + length


def _checksum(header: dict[str, Any], body: bytes) -> str:
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode() + body).hexdigest()


def _tensor(content: bytes, start: int, entry: dict[str, Any]) -> np.ndarray:
    first, last = entry["data_offsets"]
    values = np.frombuffer(content[start + first : start + last], _DTYPES[entry["dtype"]])
    return values.reshape(entry["shape"]).copy()


def _check(program: Program) -> None:
    """Raise _InvalidFile unless every number refers to something that the program has."""
    operations, sources = len(program.kind), program.sources
    owner = np.repeat(np.arange(operations), program.terms)
    channels, height, width = program.image_shape
    valid = (
        min(channels, height, width) > 0
        and len(owner) == len(program.plane) == len(program.shift) == len(program.weight)
        and all(len(a) == operations for a in (program.gain, program.bias, program.setting))
        and 0 < program.classes <= operations
        and (program.plane < sources + owner).all()
        and (program.shift < len(program.shifts)).all()
        and (program.weight <= len(program.weights)).all()
        and (program.setting < len(program.settings)).all()
        and (program.kind <= 3).all()
        and (program.terms[program.kind > 0] == 1).all()
        and (program.settings[:, :2] > 0).all()
        and _sizes_fit(program, owner)
        and _about_fits(program)
    )
    if not valid:
        raise _InvalidFile(
            "is not a valid network: its parts do not fit together. Deploy the run again."
        )


def _about_fits(program: Program) -> bool:
    """Return whether classes, mean and std, where known, have as many entries as they must."""
    about, channels = program.about, program.image_shape[0]
    classes, mean, std = about.get("classes"), about.get("mean"), about.get("std")
    return (
        (classes is None or len(classes) == program.classes)
        and (mean is None or len(mean) == channels)
        and (std is None or len(std) == channels)
    )


def _sizes_fit(program: Program, owner: np.ndarray) -> bool:
    """Return whether sums are of planes of the result's size, and means and logits are 1 × 1."""
    sizes = program.sizes()
    results = sizes[program.sources :]
    linear = program.kind[owner] == Kind.LINEAR
    numbers = np.concatenate([results[program.kind == Kind.MEAN], results[-program.classes :]])
    same_size = sizes[program.plane[linear]] == results[owner[linear]]
    return bool(same_size.all() and (numbers == 1).all())
