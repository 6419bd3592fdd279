"""Renders one table of the board as a markdown file."""

from collections.abc import Sequence

from dstbench.boards.board import Table
from dstbench.boards.markdown import accuracy_blocks, value_tables
from dstbench.boards.markdown.text import RENDERED, document, escape


def render(table: Table) -> str:
    """Return the content of a table's file."""
    top5 = table.kind == "inference"
    return document(
        f"# {escape(table.title)}",
        RENDERED,
        *(part for block in table.blocks for part in accuracy_blocks.sections(block, top5=top5)),
        accuracy_blocks.footnotes(table.blocks, top5) if table.blocks else "",
        *value_tables.trial_table(table.trials),
        *value_tables.cost_table(table.costs),
        *value_tables.speed_table([*table.measurements, *table.paper_speeds]),
        *_notes(table.notes),
    )


def _notes(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    return ["## About the paper's numbers", "\n".join(f"- {escape(note)}" for note in notes)]
