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

from dstbench.deployment.runtime.program import Kind, Program

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
    _require(header.keys() == _TENSORS.keys(), "it has other tensors than a network's")
    for name, (dtypes, rank) in _TENSORS.items():
        entry = header[name]
        _require(isinstance(entry, dict), f"{name} is not described")
        dtype, shape, offsets = (entry.get(k) for k in ("dtype", "shape", "data_offsets"))
        _require(dtype in dtypes, f"{name} has dtype {dtype!r}")
        _require(_counts(shape) and len(shape) == rank, f"{name} has shape {shape!r}")
        _require(_counts(offsets) and len(offsets) == 2, f"{name} has no place in the file")
        first, last = offsets
        _require(first <= last <= size, f"{name} is not inside the file")
        width = int(dtype[1:]) // 8
        _require(last - first == math.prod(shape) * width, f"{name} has other bytes than its shape")


def check_shapes(shape: Any) -> None:
    """Raise InvalidProgram unless the description of shapes is one: image, classes, planes."""
    _require(isinstance(shape, dict), "its shapes are not described")
    image, classes, planes = (shape.get(k) for k in ("image_shape", "classes", "planes"))
    _require(_counts(image) and len(image) == 3, f"image_shape is {image!r}")
    _require(all(0 < side <= MAX_SIDE for side in image), f"image_shape is {image!r}")
    _require(image[1] * image[2] <= MAX_PIXELS, f"image_shape is {image!r}")
    _require(type(classes) is int and classes > 0, f"classes is {classes!r}")
    _require(isinstance(planes, list), "the constant planes are not described")
    for plane in planes:
        _require(_counts(plane) and len(plane) == 2, f"a constant plane has shape {plane!r}")
        _require(all(0 < s <= MAX_SIDE for s in plane), f"a constant plane has shape {plane!r}")
    pixels = sum(height * width for height, width in planes)
    _require(pixels <= MAX_PIXELS, "the constant planes are too large")


def check_program(program: Program) -> None:
    """Raise InvalidProgram unless every number is in its range and refers to what there is."""
    _check_lengths(program)
    _check_references(program)
    _check_settings(program)
    _check_numbers(program)
    _check_about(program)


def _check_lengths(program: Program) -> None:
    operations, terms = len(program.kind), len(program.plane)
    for name in ("gain", "bias", "setting", "terms", "relu"):
        _require(len(getattr(program, name)) == operations, f"{name} is not one an operation")
    for name in ("shift", "weight", "clip"):
        _require(len(getattr(program, name)) == terms, f"{name} is not one a term")
    _require(int(program.terms.sum(dtype=np.uint64)) == terms, "the numbers of terms do not add up")
    _require(program.classes <= operations, "there are fewer operations than classes")
    _require(program.settings.shape[1:] == (8,), "settings are not eight each")
    _require(program.shifts.shape[1:] == (2,), "shifts are not two each")


def _check_references(program: Program) -> None:
    owner = np.repeat(np.arange(len(program.kind)), program.terms)
    _require(bool((program.kind <= max(Kind)).all()), "an operation is of no known kind")
    ahead = program.plane.astype(np.int64) >= program.sources + owner
    _require(not ahead.any(), "an operation reads a plane that is not computed yet")
    for name, table in (("shift", program.shifts), ("setting", program.settings)):
        inside = (getattr(program, name) < len(table)).all()
        _require(bool(inside), f"{name} is outside its table")
    _require(bool((program.weight <= len(program.weights)).all()), "a term has no such weight")


def _check_settings(program: Program) -> None:
    settings = program.settings.astype(np.int64)
    _require(bool((abs(settings) <= MAX_SIDE).all()), "a size is too large")
    _require(bool((abs(program.shifts.astype(np.int64)) <= MAX_SIDE).all()), "a shift is too large")
    sizes = settings[:, :2]
    _require(bool((sizes > 0).all()), "a plane has no pixels")
    _require(bool((sizes.prod(1) <= MAX_PIXELS).all()), "a plane is too large")
    kind, owner = program.kind, np.repeat(np.arange(len(program.kind)), program.terms)
    rows = settings[program.setting]
    linear = kind == Kind.LINEAR
    _require(bool((program.terms[~linear] == 1).all()), "only a sum may have several terms")
    strided = (kind == Kind.SAMPLE) | (kind == Kind.MAXIMUM)
    _require(bool((rows[strided, 4:6] > 0).all()), "a stride is not positive")
    windows = rows[kind == Kind.MAXIMUM]
    _require(bool((windows[:, 6:8] > 0).all()), "a window is not positive")
    _require(bool((windows[:, 2:4] >= 0).all()), "a padding is negative")
    shifted = program.shifts[program.shift].any(1)
    _require(not shifted[~linear[owner]].any(), "only the planes of a sum may be shifted")
    sizes = program.sizes()
    results = sizes[program.sources :]
    same = sizes[program.plane[linear[owner]]] == results[owner[linear[owner]]]
    _require(bool(same.all()), "a sum has planes of several sizes")
    numbers = np.concatenate([results[kind == Kind.MEAN], results[-program.classes :]])
    _require(bool((numbers == 1).all()), "a mean or a logit is not one number")


def _check_numbers(program: Program) -> None:
    for name in ("weights", "gain", "bias", "clip"):
        _require(bool(np.isfinite(getattr(program, name)).all()), f"{name} is not finite")
    with np.errstate(over="ignore"):
        _require(bool(np.isfinite(program.coefficients()).all()), "a coefficient is not finite")
    finite = all(np.isfinite(plane).all() for plane in program.constants)
    _require(finite, "a constant plane is not finite")


def _check_about(program: Program) -> None:
    about: Any = program.about
    _require(isinstance(about, dict), "its description is not one")
    classes, channels = about.get("classes"), program.image_shape[0]
    if classes is not None:
        fits = isinstance(classes, list) and len(classes) == program.classes
        _require(fits and all(isinstance(name, str) for name in classes), "classes are not named")
    for name in ("mean", "std"):
        if (numbers := about.get(name)) is not None:
            fits = isinstance(numbers, list) and len(numbers) == channels
            _require(fits and all(map(_is_number, numbers)), f"{name} is not one number a channel")
    _require(all(number > 0 for number in about.get("std") or ()), "std is not positive")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e30  # false for NaN


def _counts(values: Any) -> bool:
    """Return whether a value is a list of whole numbers that are not negative."""
    return isinstance(values, list) and all(type(v) is int and v >= 0 for v in values)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise InvalidProgram(f"{message}.")
