"""A table of the board as a markdown file."""

from collections.abc import Sequence

from dstbench.leaderboard.board import Table
from dstbench.leaderboard.markdown import accuracy, cost
from dstbench.leaderboard.markdown.text import RENDERED, document, escape


def render(table: Table) -> str:
    """The file of one table."""
    top5 = table.kind == "inference"
    return document(
        f"# {escape(table.title)}",
        RENDERED,
        *(part for block in table.blocks for part in accuracy.sections(block, top5=top5)),
        accuracy.footnotes(table.blocks, top5) if table.blocks else "",
        *cost.costs(table.costs),
        *cost.speeds(table.measurements, table.paper_speeds),
        *_notes(table.notes),
    )


def _notes(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    return ["## About the paper's numbers", "\n".join(f"- {escape(note)}" for note in notes)]
