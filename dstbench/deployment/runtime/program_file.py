"""`network.dst`: a program in one file. Reading needs numpy only; nothing in a file is executed.

The file is a safetensors file, so that other tools can open it. Its metadata are

    format   "dstbench.network"
    version  of the format
    program  JSON: image_shape, classes, shapes of constant planes
    about    JSON: description of the network
    sha256   checksum of all the rest

The tensors are the arrays of `Program`, in the smallest dtype that holds them. Constant planes are
stored as their distinct rows and columns: a plane that is constant except near its border has few.
Clips are stored for terms that have one.
"""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UserError
from ...utils.json_text import parse_json
from ...utils.safetensors_bytes import CHECKSUM, checksum, signed, split
from .about_check import check_about, known
from .packed_arrays import narrow, pack_planes, unpack_planes
from .program import NO_CLIP, Program
from .program_check import (
    InvalidProgram,
    check_header,
    check_program,
    check_shapes,
)

FORMAT, VERSION = "dstbench.network", 1
MAX_BYTES = 2**29  # of a file; reading one takes about ten times its size

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
    return signed(save(tensors, metadata))


def read(path: Path) -> Program:
    """Return the program in a file.

    Raises UserError: when the file cannot be read, is damaged, of another format, or of a newer
        version.
    """
    try:
        with path.open("rb") as file:  # a device may have no end, and a size of zero
            pieces = itertools.islice(iter(lambda: file.read(2**20), b""), MAX_BYTES // 2**20 + 1)
            content = b"".join(pieces)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
    return read_bytes(content, str(path))


def read_bytes(content: bytes, name: str) -> Program:
    """Return the program in the bytes of a file. name: of the file, for messages.

    Raises UserError: as `read`.
    """
    if len(content) > MAX_BYTES:
        raise UserError(f"{name}: is larger than {MAX_BYTES / 2**20:.0f} MiB, which none may be.")
    with named(name):
        return _program(content)


@contextmanager
def named(name: str) -> Iterator[None]:
    """Turn what is refused inside into a UserError with the file's name."""
    try:
        yield
    except _InvalidFile as error:
        raise UserError(f"{name}: {error}") from None
    except InvalidProgram as error:
        raise UserError(f"{name}: is not a valid network: {error} Deploy the run again.") from None


class _InvalidFile(Exception):
    """A file that cannot be used; the message says why."""


def _program(content: bytes) -> Program:
    try:
        header, body = split(content)
    except (ValueError, RecursionError):
        raise _InvalidFile("is not a network that dstbench compiled, or is cut off.") from None
    metadata = header.get("__metadata__", {})
    if metadata.get("format") != FORMAT:
        raise _InvalidFile("is not a network that dstbench compiled.")
    _refuse_other_version(metadata.get("version"))
    if metadata.get(CHECKSUM) != checksum(header, body):
        raise _InvalidFile(
            "is damaged: its content does not match its checksum. Deploy the run again."
        )
    del header["__metadata__"]
    check_header(header, len(body))
    shape, about = (_json(metadata.get(name)) for name in ("program", "about"))
    check_shapes(shape)
    check_about(about, shape["image_shape"], shape["classes"])
    tensors = {name: _tensor(body, entry) for name, entry in header.items()}
    operations, terms = len(tensors["kind"]), len(tensors["plane"])
    clipped = tensors["clipped"]
    if not (len(clipped) == len(tensors["clip"]) and (clipped < terms).all()):
        raise InvalidProgram("clips are of no term.")
    if len(tensors["relu"]) != -(-operations // 8):
        raise InvalidProgram("relu is not one an operation.")
    clip = np.full(terms, NO_CLIP, np.float32)
    clip[clipped] = tensors["clip"]
    program = Program(
        image_shape=tuple(shape["image_shape"]),
        classes=shape["classes"],
        constants=_constants(tensors, shape["planes"]),
        relu=np.unpackbits(tensors["relu"], count=operations).astype(bool),
        clip=clip,
        about=known(about),
        **{name: tensors[name] for name in (*_INTEGERS, *_FLOATS)},
    )
    check_program(program)
    return program


def _refuse_other_version(version: object) -> None:
    if not (isinstance(version, str) and version.isascii() and version.isdecimal()):
        raise _InvalidFile("has no version, so it is not a network that dstbench compiled.")
    if len(version) > 9 or int(version) > VERSION:
        raise _InvalidFile(
            f"has version {version[:20]}; this dstbench reads up to {VERSION}. Install a newer "
            "dstbench."
        )


def _json(text: object) -> Any:
    try:
        return parse_json(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _constants(tensors: dict[str, np.ndarray], shapes: list[list[int]]) -> list[np.ndarray]:
    try:
        return unpack_planes(tensors, shapes)
    except (ValueError, IndexError):
        raise InvalidProgram("its constant planes are not complete.") from None


def _tensor(body: bytes, entry: dict[str, Any]) -> np.ndarray:
    first, last = entry["data_offsets"]  # checked by `check_header`
    values = np.frombuffer(body[first:last], _DTYPES[entry["dtype"]])
    return values.reshape(entry["shape"]).copy()
