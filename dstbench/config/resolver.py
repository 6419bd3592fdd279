"""Gin text → one run, or one table of runs: bindings collected, checked, resolved, identified.

Gin parses the files and builds the objects. In between, this file does what gin leaves open: every
error names file and line, unknown names come with the nearest known one, types are checked against
the constructors' annotations, and a binding that nothing uses is refused.

The identity of a run is the sha256 of its resolved text: every constructor that the run reaches,
with every parameter, defaults included, macros and includes gone. The text is valid gin, and
running it is running the same thing again.
"""

import hashlib
import inspect
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gin

from dstbench.config import registry
from dstbench.config.gin_file import Binding, Macro, Reference, read_file, read_text
from dstbench.config.identity import Resolved, _literal
from dstbench.config.type_check import fits, hints, spell
from dstbench.errors import UserError, did_you_mean


class Config:
    """Bindings in the order they were given; for the same parameter, the later one wins.

    root: name of the class that everything is reached from.
    """

    def __init__(self, root: str = "Run") -> None:
        self.root = root
        self._bindings: dict[tuple[str, str, str], Binding] = {}
        self._must_be_used: list[Binding] = []
        self._used: set[int] = set()  # id of every binding that some stage used

    def add_file(self, path: Path, allow_unused: bool = False) -> None:
        """Add a gin file. One that speaks to all methods, as recipes do, may set what this run
        does not use; any other file must not."""
        self._add(read_file(path), allow_unused)

    def add_text(self, text: str, where: str) -> None:
        """Add gin text from elsewhere, such as the command line; `where` is what errors name."""
        self._add(read_text(text, where), allow_unused=False)

    def set_macro(self, name: str, value: Any, where: str, default: bool = False) -> None:
        """Set a macro; a default gives way to any value that is there already."""
        if not (default and ("", name, "") in self._bindings):
            self._add([Binding("", name, "", value, where)], allow_unused=default)

    def sets(self, target: str, parameter: str = "") -> bool:
        """Whether anything so far sets the parameter (or the macro)."""
        return ("", target, parameter) in self._bindings

    def _add(self, bindings: Iterable[Binding], allow_unused: bool) -> None:
        for binding in bindings:
            if binding.parameter:
                self._check_name(binding)
            self._bindings[binding.scope, binding.target, binding.parameter] = binding
            if not allow_unused:
                self._must_be_used.append(binding)

    def mark_used(self) -> None:
        """Note what is used as things stand.

        A binding may come out of use when something later overrides its user, as a method file's
        schedule does under --set; it is dead only if no stage ever used it.
        """
        with suppress(UserError):  # the final resolving says what is wrong
            self._walk(Reference(self.root, "", True), "", "", set(), set())

    def _check_name(self, binding: Binding) -> None:
        parameters = _parameters(self._lookup(binding.target, binding.where))
        if binding.parameter not in parameters:
            raise UserError(
                f"{binding.where}: {binding.target} has no parameter {binding.parameter!r}."
                f"{did_you_mean(binding.parameter, parameters)}"
            )
        if binding.parameter in registry.SUPPLIED:
            raise UserError(f"{binding.where}: {binding} comes from the dataset. Remove it.")

    @staticmethod
    def _lookup(name: str, where: str) -> type:
        try:
            return registry.lookup(name)
        except UserError as error:
            raise UserError(f"{where}: {error.message}") from None

    # --- resolving ------------------------------------------------------------------------------

    def resolve(self) -> Resolved:
        """Follow every reference from the root.

        Raises UserError for whatever is wrong, with its place.
        Dead bindings are refused here, because only here it is known what the run reaches.
        """
        lines: set[str] = set()
        imports: set[str] = set()
        self._walk(Reference(self.root, "", True), "", "the command line", lines, imports)
        for binding in self._must_be_used:
            key = (binding.scope, binding.target, binding.parameter)
            if self._bindings[key] is binding and id(binding) not in self._used:
                self._refuse_unused(binding)
        text = "".join(f"{line}\n" for line in [*sorted(imports), *sorted(lines)])
        return Resolved(text, hashlib.sha256(text.encode()).hexdigest())

    def _refuse_unused(self, binding: Binding) -> None:
        whole = self.root.lower()
        if binding.parameter:
            what = f"{binding} is set, but this {whole} has no {binding.target}"
            if binding.scope:
                what += f" in a scope {binding.scope!r}"
        else:
            what = f"{binding.target} = {binding.value!r}: nothing in this {whole} uses %{binding}"
        raise UserError(f"{binding.where}: {what}. Remove it, or use what it configures.")

    def _walk(
        self,
        ref: Reference,
        scope: str,
        where: str,
        lines: set[str],
        imports: set[str],
        inside: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Collect the canonical line of every parameter that `ref` reaches, and what to import."""
        cls = self._lookup(ref.name, where)
        if (ref.scope or scope, ref.name) in inside:
            raise UserError(f"{where}: {ref.name} is configured to hold itself.")
        inside = (*inside, (ref.scope or scope, ref.name))
        if not cls.__module__.startswith("dstbench_plugin_") and not _is_builtin(cls):
            imports.add(f"import {cls.__module__}")
        scope = ref.scope or scope
        prefix = f"{scope}/{ref.name}" if scope else ref.name
        for name, parameter in _parameters(cls).items():
            if name in registry.SUPPLIED and not ref.evaluate:
                continue
            binding = self._find(scope, ref.name, name)
            if binding is not None:
                where = binding.where
                value = self._expand(binding.value, where)
                self._check_type(cls, name, value, where)
            elif parameter.default is not inspect.Parameter.empty:
                value = parameter.default
            elif ref.evaluate:
                raise UserError(f"{prefix}.{name} is not set, and has no default.")
            else:
                continue  # a class passed on as it is: whoever calls it supplies this one
            lines.add(f"{prefix}.{name} = {_literal(value)}")
            for inner in _references(value):
                self._walk(inner, scope, where, lines, imports, inside)

    def _find(self, scope: str, target: str, parameter: str) -> Binding | None:
        """The binding in the innermost scope, as gin chooses it."""
        parts = scope.split("/") if scope else []
        found = None
        for depth in range(len(parts) + 1):
            key = ("/".join(parts[:depth]), target, parameter)
            if key in self._bindings:
                found = self._bindings[key]
                self._used.add(id(found))
        return found

    def _expand(self, value: Any, where: str, inside: tuple[str, ...] = ()) -> Any:
        """The value with its macros replaced; `inside` are the macros being expanded."""
        if isinstance(value, Macro):
            binding = self._bindings.get(("", value.name, ""))
            if binding is None:
                macros = [t for (_, t, parameter) in self._bindings if not parameter]
                raise UserError(
                    f"{where}: %{value.name} is not defined.{did_you_mean(value.name, macros)}"
                )
            if value.name in inside:
                raise UserError(f"{binding.where}: %{value.name} is defined by itself.")
            self._used.add(id(binding))
            return self._expand(binding.value, binding.where, (*inside, value.name))
        if isinstance(value, list | tuple):
            return type(value)(self._expand(v, where, inside) for v in value)
        if isinstance(value, dict):
            return {k: self._expand(v, where, inside) for k, v in value.items()}
        return value

    def _check_type(self, cls: type, parameter: str, value: Any, where: str) -> None:
        for inner in _references(value):
            self._lookup(inner.name, where)
        hint = hints(cls).get(parameter, Any)
        if not fits(value, hint):
            raise UserError(
                f"{where}: {cls.__name__}.{parameter} = {value!r}: expected {spell(hint)}."
            )

    # --- building -------------------------------------------------------------------------------

    def build(self, resolved: Resolved) -> Any:
        """The Run (or other root) that the resolved text describes, built by gin."""
        gin.clear_config()
        try:
            gin.parse_config(resolved.text)
            return gin.get_configurable(f"dstbench.{self.root}")()
        except UserError as error:
            raise self.located(error) from None

    def located(self, error: UserError) -> UserError:
        """The error with the place of the binding it is about, if it names one that was set."""
        scope, _, name = (error.binding or "").rpartition("/")
        target, _, parameter = name.partition(".")
        found = [b for (_, t, p), b in self._bindings.items() if (t, p) == (target, parameter)]
        if not found:
            return UserError(error.message)
        origin = next((binding for binding in found if binding.scope == scope), found[0])
        while isinstance(origin.value, Macro):  # point at the number, not at its use
            origin = self._bindings[("", origin.value.name, "")]
        return UserError(f"{origin.where}: {error.message}")


def _parameters(cls: type) -> dict[str, inspect.Parameter]:
    """What gin may set: the constructor's named parameters."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    try:
        signature = inspect.signature(cls)
    except ValueError:  # a class without a constructor of its own
        return {}
    return {n: p for n, p in signature.parameters.items() if p.kind in kinds}


def _is_builtin(cls: type) -> bool:
    """Whether the suite itself registers the class, so that no file need import it."""
    module = cls.__module__
    return module.startswith("dstbench.") and not module.startswith("dstbench.methods.")


def _references(value: Any) -> Iterator[Reference]:
    if isinstance(value, Reference):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _references(item)
