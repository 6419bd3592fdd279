"""The settings of a registered class, read from its constructor and its docstring."""

import inspect
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dstbench.config.gin_file import Reference
from dstbench.config.identity import literal
from dstbench.config.registry import SUPPLIED
from dstbench.config.type_check import hints, parameters

_ENTRY = re.compile(r"^(\w+(?:, \w+)*): (.*)$")
_SOURCE = re.compile(r"^Sources?: (.*?)(?:\n\n|\Z)", re.DOTALL | re.MULTILINE)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")


@dataclass(frozen=True)
class Setting:
    """One parameter that gin may set.

    name: such as "RigL.drop_fraction".
    type: of its value, as in an annotation.
    default: as gin text; "required" without one.
    text: what it is, with its unit.
    """

    name: str
    type: str
    default: str
    text: str


def settings(cls: type) -> list[Setting]:
    """Return the settings of a class, in the order of its constructor."""
    texts, found = descriptions(cls), []
    for name, parameter in parameters(cls).items():
        if name in SUPPLIED:
            continue
        required = parameter.default is inspect.Parameter.empty
        found.append(
            Setting(
                name=f"{cls.__name__}.{name}",
                type=_type_text(hints(cls).get(name, Any)),
                default="required" if required else _default_text(parameter.default),
                text=texts.get(name, ""),
            )
        )
    return found


def descriptions(cls: type) -> dict[str, str]:
    """Return parameter → what the docstrings of a class and its bases say about it.

    cls: a registered class, or the function of a model.
    """
    found: dict[str, str] = {}
    for one in reversed(cls.__mro__) if inspect.isclass(cls) else (cls,):
        found |= dict(_entries(inspect.cleandoc(one.__doc__ or "")))
    return found


def summary(cls: type) -> str:
    """Return the first paragraph of a class's docstring, in one line."""
    return " ".join(inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].split())


def sources(cls: type) -> str:
    """Return the source that a class's docstring names, or the papers that its file's cites."""
    own, file = (inspect.cleandoc(one.__doc__ or "") for one in (cls, inspect.getmodule(cls)))
    if match := _SOURCE.search(own) or _SOURCE.search(file):
        return " ".join(match[1].split())
    cited = [part for part in file.split("\n\n")[1:] if _YEAR.search(part)]
    own_work = [part for part in cited if not part.startswith("Related: ")]
    return " ".join(own_work[0].replace("-\n", "-").split()) if own_work else ""


def _entries(doc: str) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of the lines `name: text` of a docstring, with their continuations."""
    names: list[str] = []
    text: list[str] = []
    for line in [*doc.splitlines(), ""]:
        match = _ENTRY.match(line)
        if names and not match and line.startswith("    "):
            text.append(line.strip())
            continue
        yield from ((name, " ".join(text)) for name in names)
        names, text = (match[1].split(", "), [match[2]]) if match else ([], [])


def _type_text(hint: Any) -> str:
    """Return an annotation as text, without the modules of its classes."""
    if hint is Any:
        return ""
    if isinstance(hint, type) and not typing.get_args(hint):
        return hint.__name__
    return re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", str(hint)).replace("NoneType", "None")


def _default_text(value: Any) -> str:
    plain = value is None or isinstance(value, str | int | float | list | tuple | dict | Reference)
    return literal(value) if plain else type(value).__name__
