"""Checks gin values against the annotations of constructors, which gin itself does not."""

import collections.abc
import inspect
import types
import typing
from functools import cache
from math import isfinite
from typing import Any

from dstbench.config import registry
from dstbench.config.gin_file import Reference

_WORDS = {
    float: "a number",
    int: "a whole number",
    str: "a text in quotes",
    bool: "True or False",
    type(None): "None",
}
_LARGEST = 2**63  # of whole numbers: torch takes no larger ones
_NUMBERS = {float: (int, float), int: (int,)}


@cache
def parameters(cls: type) -> dict[str, inspect.Parameter]:
    """Return the named parameters of the class's constructor, which gin may set."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    try:
        signature = inspect.signature(cls)
    except ValueError:  # a class that defines no constructor
        return {}
    return {n: p for n, p in signature.parameters.items() if p.kind in kinds}


@cache
def hints(cls: type) -> dict[str, Any]:
    """Return parameter → annotation of the class's constructor; empty if it cannot be read."""
    try:
        return typing.get_type_hints(getattr(cls, "__init__") if isinstance(cls, type) else cls)  # noqa: B009
    except (NameError, TypeError):
        return {}


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value, its references not yet built, matches an annotation.

    An int is a float; a bool is not a number. Any value matches an annotation that is not known.
    """
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, option) for option in inner)
    if hint is Any or isinstance(hint, typing.TypeVar):
        return True
    if origin is typing.Literal:
        return value in inner
    if isinstance(value, Reference):
        return _reference_fits(value, origin or hint, inner)
    if hint in _NUMBERS:
        is_number = isinstance(value, _NUMBERS[hint]) and not isinstance(value, bool)
        return is_number and (abs(value) < _LARGEST if isinstance(value, int) else isfinite(value))
    if hint in (None, type(None)):
        return value is None
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        return (
            isinstance(value, list | tuple)
            and len(value) == len(inner)
            and all(fits(v, h) for v, h in zip(value, inner, strict=True))
        )
    if origin in (list, tuple, collections.abc.Sequence):
        return isinstance(value, list | tuple) and all(fits(v, inner[0]) for v in value if inner)
    if origin is dict:
        return isinstance(value, dict)
    if origin is collections.abc.Callable or hint is collections.abc.Callable:
        return False
    return isinstance(value, origin or hint) if isinstance(origin or hint, type) else True


def _reference_fits(reference: Reference, wanted: Any, inner: tuple[Any, ...]) -> bool:
    cls = registry.lookup(reference.name)
    if wanted is collections.abc.Callable:
        # Not getattr: a class itself can always be called, whatever its instances can.
        return reference.evaluate and any("__call__" in vars(base) for base in _bases(cls))
    if wanted is type and not isinstance(cls, type):
        return not reference.evaluate and reference.name in registry.names("models")
    if wanted is type:
        return not reference.evaluate and issubclass(cls, inner[0])
    is_class = isinstance(wanted, type) and isinstance(cls, type)
    return reference.evaluate and is_class and issubclass(cls, wanted)


def _bases(cls: Any) -> tuple[type, ...]:
    """Return a class and those it inherits from; none for a function."""
    return cls.__mro__ if isinstance(cls, type) else ()


def describe_type(hint: Any) -> str:
    """Return the annotation in words, for messages."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe_type(option) for option in inner)
    if origin is collections.abc.Callable:
        return "a reference to a schedule, such as @Cosine()"
    if origin is typing.Literal:
        return " or ".join(map(repr, inner))
    if origin is type:
        return "a reference to a class, such as @ResNet20"
    if origin is tuple and inner[-1:] != (Ellipsis,):
        return f"{len(inner)} values ({', '.join(describe_type(i) for i in inner)})"
    if origin in (list, tuple, collections.abc.Sequence):
        return f"a list, each item {describe_type(inner[0])}" if inner else "a list"
    if hint in _WORDS:
        return _WORDS[hint]
    if isinstance(hint, type):
        return f"a reference to a {hint.__name__}, with brackets"
    return str(hint)
