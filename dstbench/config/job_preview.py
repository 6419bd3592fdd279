"""Predicts what the record of a grid's job will call its method, dataset and model.

Only gin text is read. Its imports are skipped, so that no torch is needed.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dstbench.config.bindings import Bindings
from dstbench.config.gin_file import Binding, Reference, read_file, skip_import
from dstbench.config.overrides import parse_override
from dstbench.errors import UserError


class Preview:
    """The bindings of a method's file, a recipe and overrides; later ones win.

    method, recipe: gin files.
    overrides: gin bindings as text.

    Raises UserError for a file that cannot be read.
    """

    def __init__(self, method: Path, recipe: Path, overrides: Iterable[str] = ()):
        self.path, self.recipe = method, recipe
        added = [binding for text in overrides for binding in parse_override(text, repr(text))]
        own, general = (list(read_file(path, skip_import)) for path in (method, recipe))
        self._own = [*own, *added]
        self._bindings = Bindings()
        named = Binding("", "Run", "recipe", recipe.stem, str(recipe))
        for binding in (*own, *general, named, *added):
            self._bindings.add(binding, allow_unused=True)
        self._by_name = {str(binding): binding for binding in self._bindings}

    def value(self, name: str) -> Any:
        """Return the value of a parameter or macro: a reference's name, None if it is not set.

        Raises UserError for a macro that is undefined or defined by itself.
        """
        value = self._expanded(name)
        return value.name if isinstance(value, Reference) else value

    def text(self, name: str) -> str:
        """Return the value as text. Raises UserError if it is not set."""
        if (value := self.value(name)) is None:
            raise UserError(f"{self.recipe}: does not set {name}.")
        return str(value)

    def sparsity(self) -> float | None:
        """Return the recipe's sparsity, None for a method that does not use it."""
        return self.value("sparsity") if self.uses("sparsity") else None

    def uses(self, macro: str) -> bool:
        """Return whether the method's file or an override uses `%macro`."""
        return any(f"%{macro}" in re.findall(r"%\w+", repr(b.value)) for b in self._own)

    def method(self) -> str:
        """Return the method's name. Raises UserError for a file that does not set it."""
        return str(self.value(self.name_binding()))

    def name_binding(self) -> str:
        """Return the parameter that holds the method's name, such as "Method.name".

        Raises UserError for a file that does not set it.
        """
        method = self._expanded("Run.method")
        if not isinstance(method, Reference):
            raise UserError(f"{self.path}: Run.method is not set. Set it to the method.")
        scope = f"{method.scope}/" if method.scope else ""
        for binding in (f"{scope}{method.name}.name", f"{method.name}.name"):
            if self.value(binding):
                return binding
        raise UserError(
            f"{self.path}: the method has no name. Add a line such as "
            f"{method.name}.name = {method.name!r}."
        )

    def _expanded(self, name: str) -> Any:
        """Return the value of a parameter or macro without macros, None if it is not set."""
        binding = self._by_name.get(name)
        return None if binding is None else self._bindings.expand(binding.value, binding.where)
