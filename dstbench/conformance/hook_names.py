"""Hooks that a part misspells: nothing would call them, and the method would be another one."""

from collections.abc import Iterator
from difflib import get_close_matches

from dstbench.core.part import Part

_SUITE = "dstbench."


def misspelled(part: Part) -> Iterator[str]:
    """Yield a message for each method of a plugin's part that has nearly the name of a hook."""
    classes = [cls for cls in type(part).__mro__ if issubclass(cls, Part)]
    own = [cls for cls in classes if not cls.__module__.startswith(_SUITE)]
    hooks = {name for cls in classes if cls not in own for name in _public(cls)}
    for cls in own:
        for name in _public(cls):
            if name not in hooks and (near := get_close_matches(name, hooks, 1, cutoff=0.85)):
                yield f"{cls.__name__}.{name} is no hook, so nothing calls it: rename it {near[0]}"


def _public(cls: type) -> Iterator[str]:
    yield from (name for name, value in vars(cls).items() if callable(value) and name[0] != "_")
