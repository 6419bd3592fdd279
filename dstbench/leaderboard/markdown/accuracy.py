"""Accuracies as markdown: blocks of cells, their marks, and how they are to be read."""

from collections.abc import Sequence

from dstbench.leaderboard.board import Block, Cell, Column, shown
from dstbench.leaderboard.markdown.text import MISSING, escape, link, signed, table
from dstbench.sparsity import percent

COLLAPSED, DIVERGED, ON_TEST, AHEAD = "†", "‡", "§", r"\*"


def sections(block: Block, level: int = 2, top5: bool = False) -> list[str]:
    """Heading, setting and table of a block.

    level: of the heading. top5: whether top-5 accuracies stand beside the others.
    """
    header = ["method", *headings(block)]
    rows = [
        [escape(method), *(cell_text(block, method, column, top5) for column in block.columns)]
        for method in block.rows
    ]
    heading = f"{'#' * level} {escape(block.title)}" if block.title else ""
    return [heading, setting(block), table(header, rows)]


def headings(block: Block) -> list[str]:
    """A column's head: its sparsity, and what else tells it from the others of the block."""
    telling = [
        i for i, name in enumerate(Column._fields)
        if name not in ("sparsity", "precision") and len({c[i] for c in block.columns}) > 1
    ]  # fmt: skip
    dataset = Column._fields.index("dataset")
    if len({(c.dataset, c.sparsity) for c in block.columns}) == len(block.columns):
        telling = [i for i in telling if i == dataset]
    return [
        ", ".join([*(escape(str(column[i])) for i in telling), percent(column.sparsity)])
        for column in block.columns
    ]


def setting(block: Block) -> str:
    """What the columns of a block share, in one line."""
    parts = []
    for name in ("dataset", "model", "recipe", "protocol", "precision"):
        values = list(dict.fromkeys(getattr(column, name) for column in block.columns))
        if values != [""]:
            parts.append(f"{name} {', '.join(escape(value) for value in values)}")
    return " · ".join(parts)


def cell_text(block: Block, method: str, column: Column, top5: bool = False) -> str:
    """Mean ± std and its marks; the records behind it; the paper's number and the difference."""
    cell = block.cell(method, column)
    comparison = block.comparisons.get(column)
    value = mean_text(cell, top5)
    if method in block.best.get(column, ()):
        value = f"**{value}**"
    value += marks(cell)
    if comparison is not None and comparison.significant and comparison.first == method:
        value += f" {AHEAD}"
    return "<br>".join(filter(None, (value, records(cell), paper(cell, top5))))


def mean_text(cell: Cell, top5: bool = False) -> str:
    """Mean ± std as they are printed, without std of a single seed; – of none."""
    if cell.mean is None:
        return MISSING
    value = shown(cell.mean)
    if cell.std is not None:
        value += f" ± {shown(cell.std)}"
    if top5:
        value += f" / {MISSING if cell.top5 is None else shown(cell.top5)}"
    return value


def marks(cell: Cell) -> str:
    """What is to be known about the runs of a cell, each with how many of them it holds for."""
    total = len(cell.results)
    text = ""
    for mark, count in ((COLLAPSED, cell.collapsed), (DIVERGED, cell.diverged)):
        if count:
            text += f" {mark}" if count == total else f" {mark} {count} of {total}"
    return text + (f" {ON_TEST}" if cell.selected_on_test else "")


def records(cell: Cell) -> str:
    """A link to every record of a cell, called by its seed."""
    if not cell.results:
        return ""
    label = "seed" if len(cell.results) == 1 else f"n = {cell.n}, seeds"
    return f"{label} {' '.join(link(str(r.seed), r.link) for r in cell.results)}"


def paper(cell: Cell, top5: bool = False) -> str:
    """The paper's number, and ours minus it."""
    if cell.paper is None:
        return ""
    text = f"paper {shown(cell.paper.mean)}"
    if cell.paper.std is not None:
        text += f" ± {shown(cell.paper.std)}"
    if top5 and cell.paper.top5 is not None:
        text += f" / {shown(cell.paper.top5)}"
    if cell.difference is not None:
        text += f" ({signed(cell.difference)})"
    return text


def footnotes(blocks: Sequence[Block], top5: bool = False) -> str:
    """How the numbers of these blocks are to be read."""
    tested = sum(c.p is not None for block in blocks for c in block.comparisons.values())
    lines = [
        f"Test accuracy in percent{', top-1 / top-5' if top5 else ''}: mean ± standard deviation "
        "(ddof = 1) over seeds, which link to their records; at the final epoch under the protocol "
        "strict, at the best validation epoch under the others.",
        "**Bold**: the highest mean of its column; those that print the same tie.",
        f"{AHEAD} ahead of the second of its column by Welch's t-test (two-sided, ddof = 1), "
        "p < 0.05 after Holm's correction over all columns of its table that can be tested (here "
        f"{tested}). Without it no difference is claimed; one seed, or seeds without variance, "
        "allow no claim.",
        f"{COLLAPSED} collapsed: no path of live weights is left, or the accuracy is chance. "
        f"{DIVERGED} diverged, and so without accuracy: the mean is of the other seeds, and never "
        f"bold. {ON_TEST} the epoch was chosen on test images. {MISSING} not run.",
    ]
    if any(cell.paper for block in blocks for cell in block.cells.values()):
        lines.append(
            "paper: what the paper prints for the same dataset, model, recipe and settings, and in "
            "brackets ours minus it."
        )
    return "\n".join(f"- {line}" for line in lines)
