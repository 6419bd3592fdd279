"""HTML that is escaped by construction: whatever is not Html yet is text, and becomes so here."""

from html import escape
from urllib.parse import quote

_VOID = {"img", "input", "meta", "circle"}


class Html(str):
    """Markup; only `tag` and `join` make it from strings."""


def tag(name: str, /, *children: str | None, **attributes: str | int | bool | None) -> Html:
    """`<name attributes>children</name>`. None and False leave a child or attribute out.

    An attribute is written as in Python: class_ is class, aria_sort is aria-sort.
    """
    said = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{said}>")
    return Html(f"<{name}{said}>{join(*children)}</{name}>")


def join(*children: str | None, by: str = "") -> Html:
    """Children one after another, each that is text escaped."""
    shown = (child for child in children if child is not None)
    return Html(text(by).join(text(child) for child in shown))


def text(value: str) -> Html:
    return value if isinstance(value, Html) else Html(escape(value))


def path(*parts: str) -> str:
    """A relative link to a file: never a scheme, a host or a query, whatever the names are."""
    return "./" + quote("/".join(parts))


def _attribute(key: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
