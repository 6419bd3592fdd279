"""Catalog of available methods, parts, models, …, read from source text without imports.

`dstbench list` prints it.
"""

import ast
import importlib.util
import re
from dataclasses import dataclass, replace
from pathlib import Path

from dstbench.config.plugins import installed
from dstbench.config.shipped_files import PACKAGE, packaged, shipped
from dstbench.errors import UserError

# Kinds of methods: when they choose the weights that stay.
KINDS = (
    "dense",
    "at initialisation",
    "dense to sparse",
    "dynamic sparse",
    "connected",
    "control",
    "other",
)


@dataclass(frozen=True)
class Entry:
    """One row of the list.

    name: what gin files or the command line call it.
    summary: one line about it.
    source: path of its file.
    kind: of a method, one of KINDS, as its file says; "other" where it says none. Else empty.
    """

    name: str
    summary: str
    source: str
    kind: str = ""


def gin_files(folder: str) -> list[Entry]:
    """Return the shipped gin files of a folder, each with its first comment."""
    return [_entry(name, path) for name, path in shipped(folder).items()]


def methods() -> list[Entry]:
    """Return the methods' gin files by kind: of the suite as paths, of packages by name."""
    own = [_entry(f"methods/{path.name}", path) for path in shipped("methods").values()]
    found = own + [_entry(name, path) for name, path in packaged().items() if _is_method(path)]
    found = [replace(entry, kind=_kind(Path(entry.source))) for entry in found]
    return sorted(found, key=lambda entry: KINDS.index(entry.kind))


def _kind(path: Path) -> str:
    """Return what a line `# Kind: …` in the file's first comment says."""
    said = re.match(
        r"(?:#.*\n)*?# Kind: (.+)\n", path.read_text(encoding="utf-8", errors="replace")
    )
    return said[1].strip() if said and said[1].strip() in KINDS else "other"


def _is_method(path: Path) -> bool:
    """Return whether a gin file configures a method, directly or by an include."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return re.search(r"^(Run\.method|\w+\.name) *=", text, re.MULTILINE) is not None


def _entry(name: str, path: Path) -> Entry:
    return Entry(name, _first_comment(path), str(path))


def classes(group: str, plugins: list[Path]) -> list[Entry]:
    """Return the classes that the suite, installed packages and plugins register in a group."""
    files = [*_sources(), *shipped("methods", ".py").values(), *plugins]
    for point in installed():
        spec = importlib.util.find_spec(point.module)
        if spec is not None and spec.origin is not None:
            files.append(Path(spec.origin))
    found = [entry for path in files for entry in _registered(path, group)]
    return sorted(found, key=lambda entry: entry.name.lower())


def _sources() -> list[Path]:
    """Return the source files of the suite without its methods."""
    return [p for p in sorted(PACKAGE.rglob("*.py")) if PACKAGE / "methods" not in p.parents]


def _registered(path: Path, group: str) -> list[Entry]:
    """Return the classes that the file decorates with `@register("<group>")`."""
    found = []
    try:
        text = path.read_text(encoding="utf-8")
        body = ast.parse(text).body if "register(" in text else []  # parsing is slow
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
    except (ValueError, SyntaxError) as error:  # not UTF-8, or not Python
        raise UserError(f"{path}: cannot be read as Python ({error}).") from None
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if _registers(decorator, group):
                doc = ast.get_docstring(node) or ""
                found.append(Entry(node.name, _first_sentence(doc), str(path)))
    return found


def _registers(decorator: ast.expr, group: str) -> bool:
    return (
        isinstance(decorator, ast.Call)
        and ast.unparse(decorator.func).split(".")[-1] == "register"
        and any(isinstance(a, ast.Constant) and a.value == group for a in decorator.args)
    )


def _first_sentence(doc: str) -> str:
    paragraph = " ".join(doc.split("\n\n")[0].split())
    return re.split(r"\.\s+(?=[A-Z])", paragraph)[0].rstrip(".")


def _first_comment(path: Path) -> str:
    """Return the first sentence of the comment at the top of the file."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return _first_sentence(" ".join(lines))
