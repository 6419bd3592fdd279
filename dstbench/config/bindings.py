"""The bindings of a configuration: later ones replace earlier ones, and their use is tracked."""

from collections.abc import Iterator
from typing import Any

from dstbench.config.gin_file import Binding, Macro
from dstbench.errors import UserError, did_you_mean


class Bindings:
    """Bindings by the parameter (or macro) that they set."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, str, str], Binding] = {}
        self._must_be_used: list[Binding] = []
        self._used: set[int] = set()  # ids of the bindings that were looked up at any time

    def __iter__(self) -> Iterator[Binding]:
        return iter(self._by_name.values())

    def add(self, binding: Binding, allow_unused: bool) -> None:
        """Add a binding; it replaces an earlier one of the same parameter."""
        self._by_name[binding.scope, binding.target, binding.parameter] = binding
        if not allow_unused:
            self._must_be_used.append(binding)

    def sets(self, target: str, parameter: str = "") -> bool:
        """Return whether the parameter (or the macro `target`) is set outside of all scopes."""
        return ("", target, parameter) in self._by_name

    def is_used(self, binding: Binding) -> bool:
        """Return whether the binding was looked up."""
        return id(binding) in self._used

    def unused(self) -> Iterator[Binding]:
        """Yield the bindings that must be used, are in effect, and were never looked up."""
        for binding in self._must_be_used:
            key = (binding.scope, binding.target, binding.parameter)
            if self._by_name[key] is binding and not self.is_used(binding):
                yield binding

    def find(self, scope: str, target: str, parameter: str) -> Binding | None:
        """Return the binding of the innermost enclosing scope, gin's rule, and mark it used."""
        parts = scope.split("/") if scope else []
        found = None
        for depth in range(len(parts) + 1):
            key = ("/".join(parts[:depth]), target, parameter)
            if key in self._by_name:
                found = self._by_name[key]
                self._used.add(id(found))
        return found

    def expand(self, value: Any, where: str, inside: tuple[str, ...] = ()) -> Any:
        """Return the value with its macros replaced, and mark them used.

        where: the place of the value, for messages.
        inside: macros that are being expanded.

        Raises UserError for a macro that is undefined or defined by itself.
        """
        if isinstance(value, Macro):
            binding = self._by_name.get(("", value.name, ""))
            if binding is None:
                macros = [t for (_, t, parameter) in self._by_name if not parameter]
                raise UserError(
                    f"{where}: %{value.name} is not defined.{did_you_mean(value.name, macros)}"
                )
            if value.name in inside:
                raise UserError(f"{binding.where}: %{value.name} is defined by itself.")
            self._used.add(id(binding))
            return self.expand(binding.value, binding.where, (*inside, value.name))
        if isinstance(value, list | tuple):
            return type(value)(self.expand(v, where, inside) for v in value)
        if isinstance(value, dict):
            return {k: self.expand(v, where, inside) for k, v in value.items()}
        return value

    def located(self, error: UserError) -> UserError:
        """Return the error with the place of the binding at fault, if it names one that is set."""
        scope, _, name = (error.binding or "").rpartition("/")
        target, _, parameter = name.partition(".")
        found = [b for b in self if (b.target, b.parameter) == (target, parameter)]
        if not found:
            return UserError(error.message)
        origin = next((binding for binding in found if binding.scope == scope), found[0])
        return UserError(f"{self.place_of_value(origin)}: {error.message}")

    def place_of_value(self, binding: Binding) -> str:
        """Return where the value of a binding is written: that of its macro, not of its use."""
        while isinstance(binding.value, Macro):
            binding = self._by_name["", binding.value.name, ""]
        return binding.where
