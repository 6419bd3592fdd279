"""The tables of costs, speeds and trials as markdown."""

from collections.abc import Sequence

from dstbench.boards.markdown.text import escape, link, table
from dstbench.boards.row_types import CostRow, SpeedRow, TrialRow
from dstbench.boards.table_columns import (
    COST_COLUMNS,
    SPEED_COLUMNS,
    TRIAL_COLUMNS,
    TRIALS_NOTE,
    Row,
    TableColumn,
    shown_columns,
)
from dstbench.boards.trials import trials_text

_DOUBT = " **?**"


def cost_table(rows: Sequence[CostRow]) -> list[str]:
    """Return the table of counted costs and its explanation; empty without rows."""
    if not rows:
        return []
    doubt = f"{_DOUBT} The paper contradicts itself here, see below."
    doubtful = any(row.note for row in rows)
    return [
        _table(COST_COLUMNS, rows),
        "MACs of one image, of convolutions and linear layers; a shared weight counts at every "
        "use. Live weights: each counts once. Stored weights: zeros included, each tensor counts "
        "once. Deployed: an estimate, with the indices of live weights. Each row links to the "
        "command that counted it, and its output." + (doubt if doubtful else ""),
    ]


def trial_table(rows: Sequence[TrialRow]) -> list[str]:
    """Return the table of a search's trials and its explanation; empty without rows."""
    if not rows:
        return []
    finished = [row for row in rows if row.seeds]
    return [
        _table(TRIAL_COLUMNS, finished) if finished else "",
        f"Trials that were run: {escape(trials_text(rows))}. {TRIALS_NOTE}",
    ]


def speed_table(rows: Sequence[SpeedRow]) -> list[str]:
    """Return the section of measured speeds; empty without rows."""
    if not rows:
        return []
    doubt = f"{_DOUBT} Latency, batch and images/s contradict each other."
    return [
        "## Inference",
        _table(SPEED_COLUMNS, rows),
        "Median latency of a whole batch, by `dstbench measure`; each row links to the full "
        "output. Compare only rows of one machine. × best dense: how many times faster than the "
        "fastest form of the dense network, measured beside it. Speed does not depend on the "
        "training images." + ("" if all(row.consistent for row in rows) else doubt),
    ]


def _table(columns: Sequence[TableColumn[Row]], rows: Sequence[Row]) -> str:
    """Return the table; the first column links to the row's file."""
    columns, lines = shown_columns(columns, rows), []
    for row in rows:
        first, *others = (_cell(column, row) for column in columns)
        lines.append([link(first, row.link) if row.link else first, *others])
    return table([column.heading for column in columns], lines)


def _cell(column: TableColumn[Row], row: Row) -> str:
    linked = ", ".join(link(escape(text), path) for text, path in column.links(row))
    return (linked or escape(column.text(row))) + (_DOUBT if column.note(row) else "")
