"""What a run's record will say of it, read from the text of its gin files.

Nothing is imported that the files import, so this costs no torch; and it decides nothing: a run is
configured by dstbench/config.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dstbench.config.gin_file import Binding, Macro, Reference, read_text
from dstbench.config.shipped_files import find_include
from dstbench.errors import UserError

_INCLUDE = re.compile(r"^(?:import\s.*|include\s+['\"](.+?)['\"].*)$", re.MULTILINE)


class Preview:
    """The bindings of a method's file, a recipe and further ones; later ones win.

    Raises UserError for a file that cannot be read.
    """

    def __init__(self, method: Path, recipe: Path, further: Iterable[str] = ()):
        self.path, self.recipe = method, recipe
        added = [binding for text in further for binding in read_text(text, repr(text))]
        files = [[*_bindings(method)], [*_bindings(recipe)]]
        self._own = [*files[0], *added]
        self._values = {str(b): b.value for b in [*files[0], *files[1]]}
        self._values["Run.recipe"] = recipe.stem
        self._values |= {str(b): b.value for b in added}

    def value(self, name: str) -> Any:
        """What a parameter or a macro is set to: a reference is its name, None is not set."""
        value = self._values.get(name)
        if isinstance(value, Macro):
            return self.value(value.name)
        return value.name if isinstance(value, Reference) else value

    def text(self, name: str) -> str:
        """As `value`. Raises UserError for what is not set."""
        if (value := self.value(name)) is None:
            raise UserError(f"{self.recipe}: does not set {name}.")
        return str(value)

    def sparsity(self) -> float | None:
        """What the recipe says, None for a method that does not use it."""
        return self.value("sparsity") if self.uses("sparsity") else None

    def uses(self, macro: str) -> bool:
        """Whether the method's file, or what was added to it, uses `%macro`."""
        return any(f"%{macro}" in re.findall(r"%\w+", repr(b.value)) for b in self._own)

    def method(self) -> str:
        """What the method is called. Raises UserError for a file that does not say it."""
        method = self._values.get("Run.method")
        if not isinstance(method, Reference):
            raise UserError(f"{self.path}: does not say which method it is. Set Run.method.")
        scope = f"{method.scope}/" if method.scope else ""
        name = self.value(f"{scope}{method.name}.name") or self.value(f"{method.name}.name")
        if name is None:
            raise UserError(
                f"{self.path}: does not say what the method is called. Add a line such as "
                f"{method.name}.name = {method.name!r}."
            )
        return str(name)


def _bindings(path: Path) -> Iterator[Binding]:
    """The bindings of a gin file and of what it includes, in order."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}).") from None
    for i, piece in enumerate(_INCLUDE.split(text)):
        if i % 2 == 0:  # what stands between two imports or includes
            yield from read_text(piece, str(path))
        elif piece is not None and (included := find_include(piece, path)) is not None:
            yield from _bindings(included)
