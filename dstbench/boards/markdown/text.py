"""Markdown of GitHub's dialect: escaping, links, tables."""

import re
from collections.abc import Sequence
from urllib.parse import quote

from tabulate import tabulate

RENDERED = "Rendered from records by `dstbench leaderboard`; do not edit."

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~$&#!])")


def escape(text: str) -> str:
    """Return text escaped for a paragraph or a table's cell, without control characters."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return _SPECIAL.sub(r"\\\1", " ".join(shown.split()))


def link(text: str, target: str) -> str:
    """Return a link to a relative path.

    text: markdown.
    """
    return f"[{text}]({quote(target)})"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of markdown cells; the first column is left-aligned, the others right."""
    alignment = ["left", *["right"] * (len(header) - 1)]
    return tabulate(
        rows, header, tablefmt="pipe", disable_numparse=True, colalign=alignment if rows else None
    )


def document(*parts: str) -> str:
    """Return paragraphs, headings and tables as one file; empty parts are left out."""
    return "\n\n".join(part for part in parts if part) + "\n"
