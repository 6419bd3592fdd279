"""Snapshots: every value inside an object, by its path, to find where two objects differ.

    snapshot(Cosine(0.3), "Cosine")  →  {"Cosine.start": "0.3", "Cosine.end": "0.0", …}

Tensors, arrays and generators are compared by their bytes.
"""

import hashlib
import random
from collections import deque
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

_NAMED = (type, FunctionType, MethodType, BuiltinFunctionType, ModuleType)  # compared by repr


def snapshot(value: Any, name: str = "") -> dict[str, str]:
    """Return path → value as text, for every value inside `value`.

    name: prefix of every path.
    """
    return dict(_walk(value, name, ()))


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Return the paths at which two snapshots differ, in order."""
    return [path for path in {**one, **other} if one.get(path) != other.get(path)]


def _walk(value: Any, path: str, inside: tuple[Any, ...]) -> Iterator[tuple[str, str]]:
    if any(value is outer for outer in inside):
        yield path, "a reference to an enclosing object"
        return
    inside = (*inside, value)
    if isinstance(value, dict):
        yield path, f"a dict of {len(value)}"
        for key, item in value.items():
            yield from _walk(item, f"{path}[{key!r}]" if path else str(key), inside)
    elif isinstance(value, list | tuple | deque):
        yield path, f"{len(value)} values"
        for i, item in enumerate(value):
            yield from _walk(item, f"{path}[{i}]", inside)
    elif isinstance(value, _NAMED) or not hasattr(value, "__dict__") or _bytes(value) is not None:
        yield path, _text(value)
    else:
        yield path, type(value).__name__
        for key, item in vars(value).items():
            yield from _walk(item, f"{path}.{key}", inside)


def _text(value: Any) -> str:
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__} of {sorted(map(repr, value))}"
    data = _bytes(value)
    if data is None:
        return repr(value)
    kind = f"{type(value).__name__} {getattr(value, 'dtype', '')} {getattr(value, 'shape', '')}"
    return f"{kind} {hashlib.blake2b(data, digest_size=16).hexdigest()}"


def _bytes(value: Any) -> bytes | None:
    """Return the content of tensors, arrays and generators; None for other kinds of values."""
    if isinstance(value, Tensor):
        return value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, torch.Generator):
        return _bytes(value.get_state())
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state).encode()
    if isinstance(value, random.Random):
        return repr(value.getstate()).encode()
    return None
