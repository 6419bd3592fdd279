"""One gin file → its bindings, each knowing its file and line.

Gin's own parser reads the syntax; what it says unclearly (an unclosed bracket, a missing include,
an import that fails) is said clearly here.
"""

import importlib
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gin import config_parser

from dstbench.config.shipped_files import find_include
from dstbench.errors import UserError


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
    """`scope/target.parameter = value`; a macro's definition has no parameter."""

    scope: str
    target: str
    parameter: str
    value: Any
    where: str

    def __str__(self) -> str:
        scope = f"{self.scope}/" if self.scope else ""
        parameter = f".{self.parameter}" if self.parameter else ""
        return f"{scope}{self.target}{parameter}"


class _Delegate(config_parser.ParserDelegate):
    def configurable_reference(self, scoped_name: str, evaluate: bool) -> Reference:
        *scopes, name = scoped_name.split("/")
        return Reference(name, "/".join(scopes), evaluate)

    def macro(self, macro_name: str) -> Macro:
        return Macro(macro_name)


def read_file(path: Path, including: tuple[Path, ...] = ()) -> Iterator[Binding]:
    """The bindings of a gin file, those of its includes in their place; imports are carried out.

    including: the files that lead here, each by an include in the one before it.

    Raises UserError, with file and line, for what cannot be read, and for files that include each
    other in a circle.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}).") from None
    yield from _statements(text, str(path), (*including, path))


def read_text(text: str, where: str) -> list[Binding]:
    """The bindings of a text from elsewhere, such as the command line; `where` names it."""
    return list(_statements(text, where, ()))


def _statements(text: str, source: str, files: tuple[Path, ...]) -> Iterator[Binding]:
    """The bindings of a text that stands in the last of `files`, or in none."""

    def at(line: int) -> str:
        return f"{source}:{line}" if files else source

    try:
        # Every statement is read before the first is acted on: a syntax error leaves nothing done.
        statements = list(config_parser.ConfigParser(text, _Delegate()))
    except SyntaxError as error:
        line, content = error.lineno or 1, (error.text or "").strip()
        told = _unclosed(text, at) or f"{at(line)}: {error.msg} In: {content}"
        raise UserError(told) from None
    except (tokenize.TokenError, IndentationError) as error:
        raise UserError(_unclosed(text, at) or f"{source}: {error}") from None
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
                _import(statement.module, at(statement.location.line_num))
            case config_parser.IncludeStatement():
                where = at(statement.location.line_num)
                included = _included(statement.filename, files, where)
                yield from read_file(included, files)


def _included(name: str, files: tuple[Path, ...], where: str) -> Path:
    """The file that an include in the last of `files` means; no earlier one of them."""
    included = find_include(name, files[-1] if files else Path("."))
    if included is None:
        raise UserError(
            f"{where}: includes {name!r}, which is neither beside this file nor among the "
            "shipped ones."
        )
    first = next((i for i, f in enumerate(files) if f.resolve() == included.resolve()), None)
    if first is None:
        return included
    if first == len(files) - 1:
        raise UserError(f"{where}: the file includes itself.")
    chain = " → ".join(str(file) for file in (*files[first:], included))
    raise UserError(f"{where}: files include each other in a circle: {chain}. Cut it somewhere.")


def _import(module: str, where: str) -> None:
    try:
        importlib.import_module(module)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{where}: import {module} failed: {type(error).__name__}: {error}. A method of your "
            "own is loaded with --plugin FILE.py instead."
        ) from None


def _unclosed(text: str, at: Any) -> str | None:
    """The message about the innermost bracket that is opened and never closed, if there is one."""
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
