"""Resolves gin text to one run, or one grid of runs.

Gin parses the files and builds the objects. This file adds checks that gin lacks: messages name
file and line, unknown names come with the nearest known one, values are checked against the
constructors' annotations, and bindings that nothing uses are refused.
"""

import inspect
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import gin

from dstbench.config import registry
from dstbench.config.bindings import Bindings
from dstbench.config.gin_file import (
    Binding,
    OnImport,
    Reference,
    import_module,
    read_file,
    read_text,
    references,
)
from dstbench.config.identity import RecipeOverride, Resolved, identify, literal
from dstbench.config.overrides import parse_override
from dstbench.config.suite_methods import module_of
from dstbench.config.type_check import describe_type, fits, hints, parameters
from dstbench.errors import UserError, did_you_mean, error_with_line


class Config:
    """The configuration of a run; of two bindings of a parameter, the later one wins.

    root: name of the class from which everything is reached.
    """

    def __init__(self, root: str = "Run") -> None:
        self.root = root
        self.bindings = Bindings()
        self._replaced: list[tuple[Binding, Binding]] = []  # by the recipe: old and new binding

    # --- adding bindings ------------------------------------------------------------------------

    def add_file(self, path: Path, allow_unused: bool = False) -> None:
        """Add a gin file.

        allow_unused: whether bindings may be unused, as those of a recipe, which serves all
            methods.
        """
        self._add(read_file(path), allow_unused)

    def add_recipe(self, path: Path) -> None:
        """Add the recipe's file, and note which bindings of the method's file it replaces."""
        before = list(self.bindings)
        self.add_file(path, allow_unused=True)
        after = {str(binding): binding for binding in self.bindings}
        pairs = [(old, after[str(old)]) for old in before]
        self._replaced = [(old, new) for old, new in pairs if old is not new]

    def add_text(self, text: str, where: str, on_import: OnImport = import_module) -> None:
        """Add gin text that is not in a file; messages call it `where`.

        on_import: called for each import statement.
        """
        self._add(read_text(text, where, on_import), allow_unused=False)

    def add_override(self, text: str) -> None:
        """Add a binding of `--set`. Raises UserError for text that is not a binding."""
        self._add(parse_override(text, f"--set {text!r}"), allow_unused=False)

    def set_macro(self, name: str, value: Any, where: str, default: bool = False) -> None:
        """Set a macro. default: only if it is not set yet, and it may be unused."""
        if not (default and self.bindings.sets(name)):
            self._add([Binding("", name, "", value, where)], allow_unused=default)

    def sets(self, target: str, parameter: str = "") -> bool:
        """Return whether the parameter (or the macro `target`) is set so far."""
        return self.bindings.sets(target, parameter)

    def mark_used(self) -> None:
        """Mark the bindings that are used so far.

        A later binding may replace the user of an earlier one, as when --set replaces a method
        file's schedule. A binding is refused only if it was unused at every stage.
        """
        with suppress(UserError):  # `resolve` reports what is wrong
            self._walk(Reference(self.root, "", True), "", "", set(), set())

    def _add(self, bindings: Iterable[Binding], allow_unused: bool) -> None:
        for binding in bindings:
            if binding.parameter:
                self._check_name(binding)
            self.bindings.add(binding, allow_unused)

    def _check_name(self, binding: Binding) -> None:
        known = parameters(self._lookup(binding.target, binding.where))
        if binding.parameter not in known:
            raise UserError(
                f"{binding.where}: {binding.target} has no parameter {binding.parameter!r}."
                f"{did_you_mean(binding.parameter, known)}"
            )
        if binding.parameter in registry.SUPPLIED:
            raise UserError(f"{binding.where}: {binding} comes from the dataset. Remove it.")

    @staticmethod
    def _lookup(name: str, where: str) -> type:
        try:
            return registry.lookup(name)
        except UserError as error:
            problem = error.message
            if module := module_of(name):
                problem = (
                    f"{name} is in {module}, which no file of this run imports. Add "
                    f"'import {module}' to the method's gin file."
                )
            raise UserError(f"{where}: {problem}") from None

    # --- resolving ------------------------------------------------------------------------------

    def resolve(self) -> Resolved:
        """Return the canonical text of what the root reaches, and its hash.

        Raises UserError, with its place, for anything wrong with it. Unused bindings are refused
        here, because only now is it known what the run reaches.
        """
        lines: set[str] = set()
        imports: set[str] = set()
        self._walk(Reference(self.root, "", True), "", "the command line", lines, imports)
        for binding in self.bindings.unused():
            self._refuse_unused(binding)
        beside = {line for line in lines if self._is_beside(line)}
        return replace(
            identify(imports, lines - beside),
            overrides=tuple(self._recipe_overrides()),
            beside="".join(f"{line}\n" for line in sorted(beside)),
        )

    @staticmethod
    def _is_beside(line: str) -> bool:
        """Return whether a canonical line is of a parameter that is no part of the identity."""
        target, _, parameter = line.partition(" = ")[0].rpartition(".")
        cls = registry.lookup(target.rpartition("/")[2])
        return parameter in getattr(cls, "not_identity", ())

    def _recipe_overrides(self) -> Iterator[RecipeOverride]:
        """Yield the replaced bindings that this run uses and whose value the recipe changes."""
        in_effect = {id(binding) for binding in self.bindings if self.bindings.is_used(binding)}
        for old, new in self._replaced:
            if id(new) in in_effect:
                values = [self.bindings.expand(b.value, b.where) for b in (old, new)]
                if values[0] != values[1]:
                    yield RecipeOverride(str(new), *(_plain(value) for value in values))

    def _refuse_unused(self, binding: Binding) -> None:
        whole = self.root.lower()
        if binding.parameter:
            what = f"{binding} is set, but this {whole} has no {binding.target}"
            if binding.scope:
                what += f" in a scope {binding.scope!r}"
        else:
            what = f"{binding.target} = {binding.value!r}: nothing in this {whole} uses %{binding}"
            for other in self.bindings:
                if other.parameter == binding.target and self.bindings.is_used(other):
                    raise UserError(
                        f"{binding.where}: {what}, because {other} is set itself, by "
                        f"{other.where}. Change that, or use --set {other}=…"
                    )
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
        """Collect the canonical line of every parameter that `ref` reaches, and the imports."""
        cls = self._lookup(ref.name, where)
        if (ref.scope or scope, ref.name) in inside:
            raise UserError(f"{where}: {ref.name} is configured to hold itself.")
        try:
            registry.refuse_incomplete(cls)
        except UserError as error:
            raise UserError(f"{where}: {error.message}") from None
        inside = (*inside, (ref.scope or scope, ref.name))
        if not cls.__module__.startswith("dstbench_plugin_") and not _is_builtin(cls):
            imports.add(f"import {cls.__module__}")
        scope = ref.scope or scope
        prefix = f"{scope}/{ref.name}" if scope else ref.name
        for name, parameter in parameters(cls).items():
            if name in registry.SUPPLIED and not ref.evaluate:
                continue
            binding = self.bindings.find(scope, ref.name, name)
            if binding is not None:
                where = binding.where
                value = self.bindings.expand(binding.value, where)
                self._check_type(cls, name, value, self.bindings.place_of_value(binding))
            elif parameter.default is not inspect.Parameter.empty:
                value = parameter.default
            elif ref.evaluate:
                raise UserError(f"{prefix}.{name} is not set, and has no default.")
            else:
                continue  # a class that is passed on; its caller supplies this parameter
            if not _is_omitted(cls, name, value, parameter.default):
                lines.add(f"{prefix}.{name} = {literal(value)}")
            for inner in references(value):
                self._walk(inner, scope, where, lines, imports, inside)

    def _check_type(self, cls: type, parameter: str, value: Any, where: str) -> None:
        for inner in references(value):
            self._lookup(inner.name, where)
        hint = hints(cls).get(parameter, Any)
        if not fits(value, hint):
            raise UserError(
                f"{where}: {cls.__name__}.{parameter} = {_short(value)}: expected "
                f"{describe_type(hint)}."
            )

    # --- building -------------------------------------------------------------------------------

    def build(self, resolved: Resolved) -> Any:
        """Return the Run (or other root) that the resolved text describes, built by gin."""
        gin.clear_config()
        try:
            gin.parse_config(resolved.text + resolved.beside)
            return gin.get_configurable(f"dstbench.{self.root}")()
        except UserError as error:
            raise self.bindings.located(error) from None
        except Exception as error:
            what = f"{self.root} cannot be made of this configuration"
            raise UserError(f"{what}: {error_with_line(error)}") from error


def _is_omitted(cls: type, parameter: str, value: Any, default: Any) -> bool:
    """Return whether the identity leaves a parameter out: it is a later addition, at its default.

    A class names such parameters in `omitted_at_default`, so that runs which were recorded before
    the parameter existed keep their hash.
    """
    names = (vars(base).get("omitted_at_default", ()) for base in getattr(cls, "__mro__", ()))
    return any(parameter in added for added in names) and literal(value) == literal(default)


def _is_builtin(cls: type) -> bool:
    """Return whether the suite registers the class by itself, without an import in a gin file."""
    module = cls.__module__
    return module.startswith("dstbench.") and not module.startswith("dstbench.methods.")


def _short(value: Any) -> str:
    """Return a value as text, the middle of a long one left out."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:100]}…{text[-20:]}"


def _plain(value: Any) -> Any:
    """Return numbers, text, None and lists of them unchanged, anything else as gin text."""
    if isinstance(value, list | tuple) and not any(references(value)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, int | float | str) else literal(value)
