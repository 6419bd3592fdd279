"""The identity of a run: the sha256 of its canonical gin text.

The text lists every constructor that the run reaches, with every parameter, defaults included;
macros and includes are expanded. It is valid gin, and running it repeats the run.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class RecipeOverride:
    """A setting of the method's file that the recipe replaces.

    binding: such as "RigL.update_interval".
    method, recipe: the value in the method's file, and the recipe's, which is in effect.
    """

    binding: str
    method: Any
    recipe: Any


@dataclass(frozen=True)
class Resolved:
    """A resolved configuration.

    text: the canonical gin text of a run, or of a grid of runs.
    sha256: its hash, in hex.
    overrides: settings of the method's file that the recipe replaces; no part of the identity.
    beside: gin text of the settings that are no part of the identity, such as Run.engine.
    """

    text: str
    sha256: str
    overrides: tuple[RecipeOverride, ...] = field(default=(), compare=False)
    beside: str = field(default="", compare=False)


def identify(imports: Iterable[str], lines: Iterable[str]) -> Resolved:
    """Return the canonical text and its hash; the order of the arguments does not matter."""
    text = "".join(f"{line}\n" for line in [*sorted(imports), *sorted(lines)])
    return Resolved(text, hashlib.sha256(text.encode()).hexdigest())


def gin_text(value: Any) -> str:
    """Return a user's value as gin text; text that begins with @ or % is gin's already."""
    if isinstance(value, str) and value[:1] in ("@", "%"):
        return value
    if isinstance(value, list | tuple):
        return f"[{', '.join(gin_text(v) for v in value)}]"
    return literal(value)


def literal(value: Any) -> str:
    """Return the value as gin text; lists and tuples give the same text."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(literal(v) for v in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {literal(v)}" for k, v in _sorted(value)) + "}"
    return repr(value)


def _sorted(value: dict[Any, Any]) -> list[tuple[Any, Any]]:
    """Return the items in the order of their keys; keys of several types in that of their texts."""
    try:
        return sorted(value.items(), key=lambda item: item[0])
    except TypeError:
        return sorted(value.items(), key=lambda item: repr(item[0]))
