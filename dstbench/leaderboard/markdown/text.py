"""Markdown as GitHub reads it: escaping, links, tables."""

import re
from collections.abc import Sequence
from urllib.parse import quote

from tabulate import tabulate

MISSING = "–"
RENDERED = "Rendered from records by `dstbench leaderboard`; not to be edited."

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~$&#!])")


def escape(text: str) -> str:
    """The text as itself, wherever it stands in a paragraph or a table's cell."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return _SPECIAL.sub(r"\\\1", " ".join(shown.split()))


def link(text: str, target: str) -> str:
    """A link to a relative path; `text` is markdown."""
    return f"[{text}]({quote(target)})"


def signed(value: float) -> str:
    """Two decimals with their sign; what prints as zero has none."""
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells in markdown, the first column to the left, all others to the right."""
    alignment = ["left", *["right"] * (len(header) - 1)]
    return tabulate(
        rows, header, tablefmt="pipe", disable_numparse=True, colalign=alignment if rows else None
    )


def document(*parts: str) -> str:
    """Paragraphs, headings and tables as one file; empty parts are left out."""
    return "\n\n".join(part for part in parts if part) + "\n"
