"""The suite's methods by name: which parts a configuration under such a name must have."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from dstbench.config.gin_file import Reference, read_file, references, skip_import
from dstbench.config.shipped_files import shipped

Parts = tuple[str, ...]  # the method's class, then its parts, in order
_INNER = ("of", "mover", "start")  # parameters by which a part holds another part


@cache
def _suite_bindings() -> tuple[Mapping[str, Any], ...]:
    """Return the bindings of each of the suite's methods' files."""
    return tuple(
        {str(one): one.value for one in read_file(path, skip_import)}
        for path in shipped("methods").values()
    )


@cache
def suite_parts() -> dict[str, frozenset[Parts]]:
    """Return name of a method → the lists of parts that its gin files give it."""
    found: dict[str, frozenset[Parts]] = {}
    for bindings in _suite_bindings():
        name = method_name(bindings)
        if name is not None:
            found[name] = found.get(name, frozenset()) | {parts_of(bindings)}
    return found


@cache
def _classes_by_module() -> dict[str, tuple[ast.ClassDef, ...]]:
    """Return name of a file → its classes, of the suite's methods, from their source."""
    return {
        name: tuple(
            node
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.ClassDef)
        )
        for name, path in shipped("methods", ".py").items()
    }


def _suite_classes() -> Iterator[ast.ClassDef]:
    for classes in _classes_by_module().values():
        yield from classes


def module_of(class_name: str) -> str | None:
    """Return the module of a class of the suite's methods, imported or not; None for another."""
    for name, classes in _classes_by_module().items():
        if any(cls.name == class_name for cls in classes):
            return f"dstbench.methods.{name}"
    return None


@cache
def classes_with(name: str) -> frozenset[str]:
    """Return the suite's classes whose body defines a name, and those that inherit from them."""
    found = {cls.name for cls in _suite_classes() if _defines(cls, name)}
    while heirs := {c.name for c in _suite_classes() if not found.isdisjoint(_bases(c))} - found:
        found |= heirs
    return frozenset(found)


def _defines(cls: ast.ClassDef, name: str) -> bool:
    """Return whether a class body has an assignment or a function of a name."""
    return any(
        node.name == name
        if isinstance(node, ast.FunctionDef)
        else isinstance(node, ast.Assign) and name in map(ast.unparse, node.targets)
        for node in cls.body
    )


def _bases(cls: ast.ClassDef) -> set[str]:
    return {ast.unparse(base) for base in cls.bases}


def method_name(bindings: Mapping[str, Any]) -> str | None:
    """Return the name of the method that a configuration runs; None without one.

    bindings: `scope/target.parameter` → value.
    """
    name = bindings.get(f"{_target(bindings)}.name")
    return name if isinstance(name, str) else None


def parts_of(bindings: Mapping[str, Any]) -> Parts:
    """Return the class of the method that a configuration runs, and its parts in order.

    The parts of a class with parameters for them, such as EAST, are in the order of their names.
    """
    target = _target(bindings)
    own = sorted((key, value) for key, value in bindings.items() if _owner(key) == target)
    parts = (one.name for _, value in own for one in references(value))
    return target.rpartition("/")[2], *(name.rpartition(".")[2] for name in parts)


@cache
def _suite_inner_parts() -> dict[str, dict[str, set[Parts]]]:
    """Return name of a method → parameter → the parts that its gin files hold by it."""
    found: dict[str, dict[str, set[Parts]]] = {}
    for bindings in _suite_bindings():
        held = found.setdefault(method_name(bindings) or "", {})
        for parameter, parts in _inner_parts(bindings).items():
            held.setdefault(parameter, set()).add(parts)
    return found


def makes_class_with(name: str, bindings: Mapping[str, Any]) -> bool:
    """Return whether a configuration makes a class of the suite that defines a name."""
    return not classes_with(name).isdisjoint(classes_in(bindings))


def classes_in(bindings: Mapping[str, Any]) -> frozenset[str]:
    """Return all classes that a configuration makes: parts, those that parts hold, and others."""
    made = (one.name for value in bindings.values() for one in references(value))
    return frozenset(name.rpartition(".")[2] for name in made)


def _inner_parts(bindings: Mapping[str, Any]) -> dict[str, Parts]:
    """Return parameter, such as "GMP.of" → the parts that a part holds by it."""
    return {
        key.rpartition("/")[2]: tuple(one.name.rpartition(".")[2] for one in references(value))
        for key, value in bindings.items()
        if key.rpartition(".")[2] in _INNER
    }


def other_parts(bindings: Mapping[str, Any]) -> str | None:
    """Return what is wrong with parts under the name of a suite's method; None if nothing is."""
    name, given = method_name(bindings), parts_of(bindings)
    known = suite_parts().get(name or "")
    if known is not None and bindings.get("Run.start") is not None:
        return f"Method.name is {name!r}, the suite's method, but it begins with another network"
    if known is None:
        return None
    if given in known:
        return _other_inner_parts(name or "", bindings)
    own = " or ".join(sorted(map(_text, known)))
    return f"Method.name is {name!r}, the suite's method of {own}, but its parts are {_text(given)}"


def _other_inner_parts(name: str, bindings: Mapping[str, Any]) -> str | None:
    """Return the same of the parts that parts hold."""
    known = _suite_inner_parts().get(name, {})
    for parameter, parts in _inner_parts(bindings).items():
        if parameter in known and parts not in known[parameter]:
            own = " or ".join(sorted(", ".join(one) for one in known[parameter]))
            return (
                f"Method.name is {name!r}, the suite's method with {parameter} = {own}, but its "
                f"parts are {', '.join(parts)}"
            )
    return None


def _text(parts: Iterable[str]) -> str:
    method, *rest = parts
    return f"{method}[{', '.join(rest)}]"


def _target(bindings: Mapping[str, Any]) -> str:
    reference = bindings.get("Run.method")
    if not isinstance(reference, Reference):
        return ""
    return f"{reference.scope}/{reference.name}" if reference.scope else reference.name


def _owner(binding: str) -> str:
    return binding.rpartition(".")[0]
