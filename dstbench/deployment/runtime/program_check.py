"""What a program from a file must be, so that running it is safe: types, ranges, references.

The file may come from anywhere, with a right checksum, so nothing about it is believed. Numbers are
compared as they are, before anything is computed from them that could overflow or fill the memory.
Which memory the operations touch is checked later, with the tables that the kernels get
(`memory_check`).
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .program import Kind, Program

MAX_SIDE = 2**15  # pixels of a plane's height or width, of a window, a stride, a shift
MAX_PIXELS = 2**26  # of one plane, and of all constant planes together

_UNSIGNED = ("U8", "U16", "U32")
_TENSORS = {  # name → dtypes, rank
    "kind": (("U8",), 1),
    "relu": (("U8",), 1),
    "gain": (("F32",), 1),
    "bias": (("F32",), 1),
    "weights": (("F32",), 1),
    "setting": (_UNSIGNED, 1),
    "terms": (_UNSIGNED, 1),
    "plane": (_UNSIGNED, 1),
    "shift": (_UNSIGNED, 1),
    "weight": (_UNSIGNED, 1),
    "clipped": (_UNSIGNED, 1),
    "clip": (("F32",), 1),
    "settings": ((*_UNSIGNED, "I32"), 2),
    "shifts": ((*_UNSIGNED, "I32"), 2),
    "planes.rows": (_UNSIGNED, 1),
    "planes.columns": (_UNSIGNED, 1),
    "planes.numbers": (("F32",), 1),
}


class InvalidProgram(Exception):
    """A program that cannot be run; the message says why."""


def check_header(header: Mapping[str, Any], size: int) -> None:
    """Raise InvalidProgram unless the header has every tensor, of its dtype and rank, in the file.

    size: bytes after the header.
    """
    require(header.keys() == _TENSORS.keys(), "it has other tensors than a network's")
    for name, (dtypes, rank) in _TENSORS.items():
        entry = header[name]
        require(isinstance(entry, dict), f"{name} is not described")
        dtype, shape, offsets = (entry.get(k) for k in ("dtype", "shape", "data_offsets"))
        require(dtype in dtypes, f"{name} has dtype {shown(dtype)}")
        require(counts(shape) and len(shape) == rank, f"{name} has shape {shown(shape)}")
        require(counts(offsets) and len(offsets) == 2, f"{name} has no place in the file")
        first, last = offsets
        require(first <= last <= size, f"{name} is not inside the file")
        width = int(dtype[1:]) // 8
        require(last - first == math.prod(shape) * width, f"{name} has other bytes than its shape")


def check_shapes(shape: Any) -> None:
    """Raise InvalidProgram unless the description of shapes is one: image, classes, planes."""
    require(isinstance(shape, dict), "its shapes are not described")
    image, classes, planes = (shape.get(k) for k in ("image_shape", "classes", "planes"))
    require(counts(image) and len(image) == 3, f"image_shape is {shown(image)}")
    require(all(0 < side <= MAX_SIDE for side in image), f"image_shape is {shown(image)}")
    require(image[1] * image[2] <= MAX_PIXELS, f"image_shape is {shown(image)}")
    require(type(classes) is int and classes > 0, f"classes is {shown(classes)}")
    require(isinstance(planes, list), "the constant planes are not described")
    for plane in planes:
        require(counts(plane) and len(plane) == 2, f"a constant plane has shape {shown(plane)}")
        require(all(0 < s <= MAX_SIDE for s in plane), f"a constant plane has shape {shown(plane)}")
    pixels = sum(height * width for height, width in planes)
    require(pixels <= MAX_PIXELS, "the constant planes are too large")


def check_program(program: Program) -> None:
    """Raise InvalidProgram unless every number is in its range and refers to what there is."""
    _check_lengths(program)
    _check_references(program)
    _check_settings(program)
    _check_numbers(program)


def _check_lengths(program: Program) -> None:
    operations, terms = len(program.kind), len(program.plane)
    for name in ("gain", "bias", "setting", "terms", "relu"):
        require(len(getattr(program, name)) == operations, f"{name} is not one an operation")
    for name in ("shift", "weight", "clip"):
        require(len(getattr(program, name)) == terms, f"{name} is not one a term")
    require(int(program.terms.sum(dtype=np.uint64)) == terms, "the numbers of terms do not add up")
    require(program.classes <= operations, "there are fewer operations than classes")
    require(program.settings.shape[1:] == (8,), "settings are not eight each")
    require(program.shifts.shape[1:] == (2,), "shifts are not two each")


def _check_references(program: Program) -> None:
    owner = program.owners()
    require(bool((program.kind <= max(Kind)).all()), "an operation is of no known kind")
    ahead = program.plane.astype(np.int64) >= program.sources + owner
    require(not ahead.any(), "an operation reads a plane that is not computed yet")
    for name, table in (("shift", program.shifts), ("setting", program.settings)):
        inside = (getattr(program, name) < len(table)).all()
        require(bool(inside), f"{name} is outside its table")
    require(bool((program.weight <= len(program.weights)).all()), "a term has no such weight")


def _check_settings(program: Program) -> None:
    settings = program.settings.astype(np.int64)
    require(bool((abs(settings) <= MAX_SIDE).all()), "a size is too large")
    require(bool((abs(program.shifts.astype(np.int64)) <= MAX_SIDE).all()), "a shift is too large")
    sizes = settings[:, :2]
    require(bool((sizes > 0).all()), "a plane has no pixels")
    require(bool((sizes.prod(1) <= MAX_PIXELS).all()), "a plane is too large")
    kind, owner = program.kind, program.owners()
    rows = settings[program.setting]
    linear = kind == Kind.LINEAR
    require(bool((program.terms[~linear] == 1).all()), "only a sum may have several terms")
    strided = (kind == Kind.SAMPLE) | (kind == Kind.MAXIMUM)
    require(bool((rows[strided, 4:6] > 0).all()), "a stride is not positive")
    windows = rows[kind == Kind.MAXIMUM]
    require(bool((windows[:, 6:8] > 0).all()), "a window is not positive")
    require(bool((windows[:, 2:4] >= 0).all()), "a padding is negative")
    _check_windows(program, windows)
    shifted = program.shifts[program.shift].any(1)
    require(not shifted[~linear[owner]].any(), "only the planes of a sum may be shifted")
    sizes = program.sizes()
    results = sizes[program.sources :]
    same = sizes[program.plane[linear[owner]]] == results[owner[linear[owner]]]
    require(bool(same.all()), "a sum has planes of several sizes")
    numbers = np.concatenate([results[kind == Kind.MEAN], results[-program.classes :]])
    require(bool((numbers == 1).all()), "a mean or a logit is not one number")


def _check_windows(program: Program, windows: np.ndarray) -> None:
    """Raise InvalidProgram unless every window has pixels of its plane.

    windows: (n, 8) int64, the settings of all maxima.
    """
    read = program.plane[program.first_terms()[program.kind == Kind.MAXIMUM]]
    padding, last = windows[:, 2:4], (windows[:, :2] - 1) * windows[:, 4:6] - windows[:, 2:4]
    inside = (padding < windows[:, 6:8]) & (last < program.sizes()[read])
    require(bool(inside.all()), "a window is outside its plane")


def _check_numbers(program: Program) -> None:
    for name in ("weights", "gain", "bias", "clip"):
        require(bool(np.isfinite(getattr(program, name)).all()), f"{name} is not finite")
    with np.errstate(over="ignore"):
        require(bool(np.isfinite(program.coefficients()).all()), "a coefficient is not finite")
    finite = all(np.isfinite(plane).all() for plane in program.constants)
    require(finite, "a constant plane is not finite")


def shown(value: Any) -> str:
    """Return a value from a file for a message, which is one line: its beginning, escaped."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def counts(values: Any) -> bool:
    """Return whether a value is a list of whole numbers that are not negative."""
    return isinstance(values, list) and all(type(v) is int and v >= 0 for v in values)


def require(holds: bool, message: str) -> None:
    if not holds:
        raise InvalidProgram(f"{message}.")
