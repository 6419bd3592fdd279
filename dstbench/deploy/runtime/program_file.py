"""`network.dst`: a compiled program in one file. numpy only; nothing in a file is ever executed.

The file is a safetensors file, so that other tools can look into it: eight bytes, little endian,
the length of a JSON header; the header, name → dtype, shape and where the bytes lie, and strings
under `__metadata__`; the bytes. Metadata: `format` ("dstbench.network"), `version`, `program`
(JSON: image_shape, classes, shapes of constant planes), `about` (JSON), and `sha256` of all else:
the header without it, as JSON with sorted keys, and the bytes. The tensors are the arrays of
`Program`, with the smallest type that holds them; constant planes by their distinct rows and
columns, because a plane that is constant but for its border has few; clips by term, where there is
one.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from dstbench.deploy.runtime.program import NO_CLIP, Kind, Program
from dstbench.errors import UserError

FORMAT, VERSION = "dstbench.network", 1

_DTYPES = {
    "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "I32": np.int32, "F32": np.float32,
}  # fmt: skip
_WHOLE = ("kind", "setting", "terms", "plane", "shift", "weight", "settings", "shifts")
_REAL = ("weights", "gain", "bias")


def write_bytes(program: Program) -> bytes:
    """The program as the bytes of a file. Needs the safetensors library."""
    from safetensors.numpy import save

    tensors = {name: _narrow(getattr(program, name)) for name in _WHOLE}
    tensors |= {name: np.ascontiguousarray(getattr(program, name)) for name in _REAL}
    tensors["relu"] = np.packbits(program.relu)
    clipped = np.flatnonzero(program.clip != NO_CLIP)
    tensors |= {"clipped": _narrow(clipped), "clip": program.clip[clipped]}
    tensors |= _pack(program.constants)
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "program": json.dumps({
            "image_shape": program.image_shape,
            "classes": program.classes,
            "planes": [plane.shape for plane in program.constants],
        }),
        "about": json.dumps(program.about),
    }  # fmt: skip
    content = save(tensors, metadata)
    header, start = _header(content)
    return save(tensors, metadata | {"sha256": _checksum(header, content[start:])})


def read(path: Path) -> Program:
    """The program in a file. Raises UserError when there is none, or not a sound one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
    try:
        return _program(content)
    except _Unsound as error:
        raise UserError(f"{path}: {error}") from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UserError(
            f"{path}: is no whole network file ({error}). Deploy the run again."
        ) from None


class _Unsound(Exception):
    """A file whose fault can be named."""


def _program(content: bytes) -> Program:
    header, start = _header(content)
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise _Unsound("is not a network that dstbench compiled.")
    if int(metadata["version"]) > VERSION:
        raise _Unsound(
            f"has version {metadata['version']}; this dstbench reads up to {VERSION}. "
            "Install a newer dstbench."
        )
    if metadata.pop("sha256") != _checksum(header, content[start:]):
        raise _Unsound("is damaged: its content does not match its checksum. Deploy the run again.")
    del header["__metadata__"]
    tensors = {name: _tensor(content, start, entry) for name, entry in header.items()}
    known = json.loads(metadata["program"])
    operations, terms = len(tensors["kind"]), len(tensors["plane"])
    clip = np.full(terms, NO_CLIP, np.float32)
    clip[tensors["clipped"]] = tensors["clip"]
    program = Program(
        image_shape=tuple(known["image_shape"]),
        classes=known["classes"],
        constants=_unpack(tensors, known["planes"]),
        relu=np.unpackbits(tensors["relu"], count=operations).astype(bool),
        clip=clip,
        about=json.loads(metadata["about"]),
        **{name: tensors[name] for name in (*_WHOLE, *_REAL)},
    )
    _check(program)
    return program


def _header(content: bytes) -> tuple[dict[str, Any], int]:
    """The header, and where it ends."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 2 <= length <= len(content) - 8:
        raise _Unsound("is not a network file, or is cut off.")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError):
        raise _Unsound("is not a network that dstbench compiled.") from None
    if not isinstance(header, dict):
        raise _Unsound("is not a network that dstbench compiled.")
    return header, 8 + length


def _checksum(header: dict[str, Any], body: bytes) -> str:
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode() + body).hexdigest()


def _tensor(content: bytes, start: int, entry: dict[str, Any]) -> np.ndarray:
    first, last = entry["data_offsets"]
    values = np.frombuffer(content[start + first : start + last], _DTYPES[entry["dtype"]])
    return values.reshape(entry["shape"]).copy()


def _check(program: Program) -> None:
    """Refuse a program whose numbers refer to what is not there."""
    operations, sources = len(program.kind), program.sources
    owner = np.repeat(np.arange(operations), program.terms)
    channels, height, width = program.image_shape
    sound = (
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
        and len(program.about.get("classes", range(program.classes))) == program.classes
        and all(len(program.about.get(k, range(channels))) == channels for k in ("mean", "std"))
    )
    if not sound:
        raise _Unsound("is no sound network: its parts do not fit together. Deploy the run again.")


def _sizes_fit(program: Program, owner: np.ndarray) -> bool:
    """Whether sums are of planes of their own size, and means and logits single numbers."""
    sizes = program.sizes()
    made = sizes[program.sources :]
    linear = program.kind[owner] == Kind.LINEAR
    single = np.concatenate([made[program.kind == Kind.MEAN], made[-program.classes :]])
    return bool((sizes[program.plane[linear]] == made[owner[linear]]).all() and (single == 1).all())


# --- arrays ---------------------------------------------------------------------------------------


def _narrow(numbers: np.ndarray) -> np.ndarray:
    """Whole numbers in the smallest type that holds them."""
    if numbers.dtype.kind == "i" and (numbers < 0).any():
        return np.ascontiguousarray(numbers.astype(np.int32))
    largest = int(numbers.max(initial=0))
    dtype = np.uint8 if largest < 2**8 else np.uint16 if largest < 2**16 else np.uint32
    return np.ascontiguousarray(numbers.astype(dtype))


def _pack(planes: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Planes by their distinct rows and columns: which each is, and the numbers where they meet."""
    rows, columns, meetings = [], [], []
    for plane in planes:
        distinct, row = np.unique(plane, axis=0, return_inverse=True)
        distinct, column = np.unique(distinct, axis=1, return_inverse=True)
        rows.append(row.reshape(-1))
        columns.append(column.reshape(-1))
        meetings.append(distinct.reshape(-1))
    nothing = [np.zeros(0, np.int64)]
    return {
        "planes.rows": _narrow(np.concatenate(rows or nothing)),
        "planes.columns": _narrow(np.concatenate(columns or nothing)),
        "planes.numbers": np.concatenate([*meetings, np.zeros(0)]).astype(np.float32),
    }


def _unpack(tensors: dict[str, np.ndarray], shapes: list[list[int]]) -> list[np.ndarray]:
    planes = []
    at_row = at_column = at = 0
    for height, width in shapes:
        row = tensors["planes.rows"][at_row : at_row + height].astype(np.int64)
        column = tensors["planes.columns"][at_column : at_column + width].astype(np.int64)
        size = (int(row.max()) + 1, int(column.max()) + 1)
        numbers = tensors["planes.numbers"][at : at + size[0] * size[1]].reshape(size)
        planes.append(numbers[row][:, column])
        at_row, at_column, at = at_row + height, at_column + width, at + numbers.size
    return planes
