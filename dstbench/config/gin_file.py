"""Parses gin files into bindings, each with its file and line.

Gin's own parser reads the syntax. Messages about unclosed brackets, missing includes and failing
imports are written here.
"""

import importlib
import io
import itertools
import re
import sys
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from gin import config_parser

from dstbench.config.shipped_files import find_include
from dstbench.errors import UserError

_MOST_FILES = 1000


@dataclass(frozen=True)
class Reference:
    """`@scope/Name` (the class) or, evaluated, `@scope/Name()` (an instance)."""

    name: str
    scope: str
    evaluate: bool

    def __repr__(self) -> str:
        scope = f"{self.scope}/" if self.scope else ""
        return f"@{scope}{self.name}{'()' if self.evaluate else ''}"


@dataclass(frozen=True)
class Macro:
    """`%name`."""

    name: str

    def __repr__(self) -> str:
        return f"%{self.name}"


@dataclass(frozen=True)
class Binding:
    """`scope/target.parameter = value`; the definition of a macro has no parameter.

    where: the file and line, or the option, that set it.
    """

    scope: str
    target: str
    parameter: str
    value: Any
    where: str

    def __str__(self) -> str:
        scope = f"{self.scope}/" if self.scope else ""
        parameter = f".{self.parameter}" if self.parameter else ""
        return f"{scope}{self.target}{parameter}"


def references(value: Any) -> Iterator[Reference]:
    """Yield the references in a value, those in its lists and dictionaries included."""
    if isinstance(value, Reference):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from references(item)


# A function of a module's name and the place of the import statement, as file:line.
OnImport = Callable[[str, str], None]


def import_module(module: str, where: str) -> None:
    """Import the module that a gin file imports. Raises UserError, with file and line."""
    try:
        importlib.import_module(module)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{where}: import {module} failed: {type(error).__name__}: {error}. To load your own "
            "method, use --plugin FILE.py."
        ) from None


def import_known(module: str, where: str) -> None:
    """Import a module of the suite, for configurations that may be anybody's.

    Raises UserError for another module, unless it is imported already, as those of plugins are.
    """
    if module.partition(".")[0] != "dstbench" and module not in sys.modules:
        raise UserError(
            f"{where}: imports {module}, which is no module of dstbench. A configuration that "
            "comes with a network or a record may be anybody's, so only the suite's modules are "
            "imported. To use your own, load it with --plugin FILE.py."
        )
    import_module(module, where)


def skip_import(module: str, where: str) -> None:
    """Import nothing, for readers that need only the bindings."""


def read_file(path: Path, on_import: OnImport = import_module) -> Iterator[Binding]:
    """Yield the bindings of a gin file in order, those of an included file at its include.

    on_import: called for each import statement.

    Raises UserError, with file and line, for a file that cannot be read or that includes itself.
    """
    yield from _read_file(path, (), on_import, itertools.count(1))


def read_text(text: str, where: str, on_import: OnImport = import_module) -> list[Binding]:
    """Return the bindings of a text that is not in a file; messages call it `where`.

    on_import: called for each import statement.
    """
    return list(_statements(text, where, (), on_import, itertools.count(1)))


class _Delegate(config_parser.ParserDelegate):
    def configurable_reference(self, scoped_name: str, evaluate: bool) -> Reference:
        *scopes, name = scoped_name.split("/")
        return Reference(name, "/".join(scopes), evaluate)

    def macro(self, macro_name: str) -> Macro:
        return Macro(macro_name)


def _read_file(
    path: Path, including: tuple[Path, ...], on_import: OnImport, opened: Iterator[int]
) -> Iterator[Binding]:
    """Yield the bindings of a file.

    including: the chain of files whose includes lead to it.
    opened: counts the files that are opened.
    """
    if next(opened) > _MOST_FILES:  # files that include another twice double their number
        raise UserError(f"{including[0]}: includes more than {_MOST_FILES:,} files in the end.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}).") from None
    yield from _statements(text, str(path), (*including, path), on_import, opened)


@lru_cache(1000)
def _parsed(text: str) -> tuple[Any, ...]:
    """Return the statements of a text; a sweep's runs read the same few files."""
    return tuple(config_parser.ConfigParser(text, _Delegate()))


def _statements(
    text: str,
    source: str,
    files: tuple[Path, ...],
    on_import: OnImport,
    opened: Iterator[int],
) -> Iterator[Binding]:
    """Yield the bindings of a text, which is in the last of `files`, or in none."""

    def at(line: int) -> str:
        return f"{source}:{line}" if files else source

    try:
        # All statements are parsed before the first import: a syntax error has no side effects.
        statements = _parsed(text)
    except SyntaxError as error:
        line, content = error.lineno or 1, (error.text or "").strip()
        message = _unclosed(text, at) or f"{at(line)}: {_mistake(error)} In: {content or text}"
        raise UserError(message) from None
    except (tokenize.TokenError, IndentationError) as error:
        raise UserError(_unclosed(text, at) or f"{source}: {error}") from None
    except (RecursionError, MemoryError):  # Python's own parser raises either
        raise UserError(f"{source}: a value is nested too deeply.") from None
    for statement in statements:
        match statement:
            case config_parser.BindingStatement():
                where = at(statement.location.line_num)
                if statement.arg_name:
                    target = statement.selector.removeprefix("dstbench.")
                    value = statement.value
                    yield Binding(statement.scope, target, statement.arg_name, value, where)
                else:
                    name = "/".join(filter(None, (statement.scope, statement.selector)))
                    yield Binding("", name, "", statement.value, where)
            case config_parser.ImportStatement():
                on_import(statement.module, at(statement.location.line_num))
            case config_parser.IncludeStatement():
                where = at(statement.location.line_num)
                included = _included(statement.filename, files, where)
                yield from _read_file(included, files, on_import, opened)


def _included(name: str, files: tuple[Path, ...], where: str) -> Path:
    """Return the file that an include in the last of `files` names; it must not be in `files`."""
    included = find_include(name, files[-1] if files else Path("."))
    if included is None:
        raise UserError(
            f"{where}: cannot include {name!r}: no such file beside this one or among the shipped "
            "ones."
        )
    first = next((i for i, f in enumerate(files) if f.resolve() == included.resolve()), None)
    if first is None:
        return included
    if first == len(files) - 1:
        raise UserError(f"{where}: the file includes itself.")
    chain = " → ".join(str(file) for file in (*files[first:], included))
    raise UserError(f"{where}: circular include: {chain}. Remove one of these includes.")


def _mistake(error: SyntaxError) -> str:
    """Return what is wrong with a statement, in words for those who do not know gin's parser."""
    if error.msg.startswith("Unable to parse value"):
        return "there is no value after the '='."
    if bare := re.search(r"Failed to parse token '(.+)'", error.msg):
        return f"{bare[1]} is no value; text needs quotes, as in '{bare[1]}'."
    return error.msg


def _unclosed(text: str, at: Callable[[int], str]) -> str | None:
    """Return the message about the innermost unclosed bracket, None if there is none."""
    opened: list[tuple[str, int, str]] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.OP and token.string in "([{":
                opened.append((token.string, token.start[0], token.line))
            elif token.type == tokenize.OP and token.string in ")]}" and opened:
                opened.pop()
    except (tokenize.TokenError, IndentationError):
        pass
    if not opened:
        return None
    bracket, line, content = opened[-1]
    first = content.splitlines()[0].strip()
    return f"{at(line)}: the bracket {bracket!r} is never closed. In: {first}"
