"""Compares parsed JSON with a TypedDict: every field that is there has its type and a sane size.

Records come from strangers, and all that reads them relies on `types.py`.
"""

import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

_LONGEST = 20_000  # characters of a text that is shown somewhere
_LONG = {"text", "test", "test_at_best_val", "data"}  # configurations, predictions, networks
_LARGEST = 10**30  # of whole numbers, so that each has a float


def type_problem(value: Any, kind: Any, place: str) -> str | None:
    """Return what is wrong with a value of parsed JSON, None if it is of a type.

    kind: a TypedDict, or what stands as a type in one. Keys that it does not know may have any
        value, and keys may be missing.
    place: name of the value, such as 'cost.macs'; '' for the whole.

    Numbers that a dictionary lists may be null, because JSON has no NaN.
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return None
    if typing.is_typeddict(kind):
        return _of_fields(value, kind, place)
    if origin in (typing.NotRequired, typing.Required):
        return type_problem(value, inner[0], place)
    if origin in (typing.Union, types.UnionType):
        problems = [type_problem(value, option, place) for option in inner]
        return None if None in problems else problems[0]
    if origin is typing.Literal:
        return None if value in inner and type(value) is str else _not(place, value, "a known word")
    if origin is list:
        return _of_list(value, inner[0], place)
    if origin in (dict, Mapping):
        return _of_dict(value, inner[1], place)
    return _of_plain(value, kind, place)


def _of_fields(value: Any, kind: Any, place: str) -> str | None:
    if not isinstance(value, dict):
        return _not(place, value, "an object")
    for name, hint in _hints(kind).items():
        if name in value:
            where = f"{place}.{name}" if place else name
            if problem := type_problem(value[name], hint, where):
                return problem
    return None


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """Return field → type of a TypedDict; looking them up takes as long as a check."""
    return typing.get_type_hints(kind, include_extras=True)


def _of_list(value: Any, inner: Any, place: str) -> str | None:
    if not isinstance(value, list):
        return _not(place, value, "a list")
    problems = (type_problem(one, inner, f"{place}[{i}]") for i, one in enumerate(value))
    return next(filter(None, problems), None)


def _of_dict(value: Any, inner: Any, place: str) -> str | None:
    if not isinstance(value, dict):
        return _not(place, value, "an object")
    for key, one in value.items():
        if len(key) > _LONGEST:
            return f"{place} has a key of {len(key):,} characters"
        if one is None and inner is float:
            continue
        if problem := type_problem(one, inner, f"{place}[{key[:100]!r}]"):
            return problem
    return None


def _of_plain(value: Any, kind: Any, place: str) -> str | None:
    if kind in (None, type(None)):
        return None if value is None else _not(place, value, "null")
    if kind is bool:
        return None if isinstance(value, bool) else _not(place, value, "true or false")
    if kind is str:
        if not isinstance(value, str):
            return _not(place, value, "a text")
        too_long = len(value) > _LONGEST and place.rpartition(".")[2] not in _LONG
        return f"{place} has {len(value):,} characters" if too_long else None
    numbers = (int, float) if kind is float else (int,)
    if isinstance(value, bool) or not isinstance(value, numbers):
        return _not(place, value, "a number" if kind is float else "a whole number")
    fits = isinstance(value, float) or abs(value) < _LARGEST
    return None if fits else _not(place, value, "a number that this version can hold")


def _not(place: str, value: Any, what: str) -> str:
    shown = repr(value)
    return f"{place} is {shown[:60]}{'…' if len(shown) > 60 else ''}, not {what}"
