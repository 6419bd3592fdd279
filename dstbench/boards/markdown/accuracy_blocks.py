"""Blocks of accuracies as markdown: cells with their marks, and footnotes that explain them."""

from collections.abc import Sequence

from dstbench.boards.board import Block
from dstbench.boards.cells import Cell, Column, Result
from dstbench.boards.formatting import (
    DOUBT,
    GROUPS,
    LINKED,
    MISSING,
    accuracy_text,
    badge_text,
    cost_text,
    learned_text,
    origin_text,
    paper_text,
    signed,
)
from dstbench.boards.markdown.text import escape, link, table
from dstbench.sparsity import percent

BADGE_LEGEND = (
    "recomputed: `dstbench verify` rebuilt the network and found its counts, and the accuracy of "
    "its predictions; with images: also the predictions. retrained: recomputed, and another "
    "attempt at the run, on any machine, gave the same within the noise of attempts. "
    "self-reported: neither."
)
COLLAPSED, DIVERGED, ON_TEST, AHEAD = "†", "‡", "§", r"\*"
UNPRUNED, ZEROS, DENSE_TO_SPARSE = "¶", "∅", "◊"


def sections(block: Block, level: int = 2, top5: bool = False) -> list[str]:
    """Return heading, setting and table of a block, and a sentence about its groups.

    level: of the heading.
    top5: whether top-5 accuracies are shown beside top-1.
    """
    header = ["method", *headings(block)]
    rows = [
        [escape(method), *(cell_text(block, method, column, top5) for column in block.columns)]
        for method in block.rows
    ]
    if block.resolution:
        resolved = (resolution_text(block, column) for column in block.columns)
        rows.append(["smallest difference resolved", *resolved])
    title = " · ".join([escape(block.title), *block.precisions])
    heading = f"{'#' * level} {title}" if block.title else ""
    return [heading, setting(block), table(header, rows), GROUPS if block.letters else ""]


def headings(block: Block) -> list[str]:
    """Return a heading for each column: what distinguishes it, then its sparsity."""
    varying = [
        i
        for i, name in enumerate(Column._fields)
        if name not in ("sparsity", "precision") and len({c[i] for c in block.columns}) > 1
    ]
    dataset = Column._fields.index("dataset")
    if len({(c.dataset, c.sparsity) for c in block.columns}) == len(block.columns):
        varying = [i for i in varying if i == dataset]
    return [
        ", ".join([*(escape(str(column[i])) for i in varying), percent(column.sparsity)])
        for column in block.columns
    ]


def setting(block: Block) -> str:
    """Return the dataset, model, recipe, protocol and precision of a block, in one line."""
    parts = []
    for name in ("dataset", "model", "recipe", "protocol", "precision"):
        values = list(dict.fromkeys(getattr(column, name) for column in block.columns))
        if values != [""]:
            parts.append(f"{name} {', '.join(escape(value) for value in values)}")
    return " · ".join(parts)


def cell_text(block: Block, method: str, column: Column, top5: bool = False) -> str:
    """Return a cell's lines: mean ± std with marks; records; group; the paper's number."""
    cell = block.cell(method, column)
    value = mean_text(cell, top5)
    if block.is_best(cell):
        value = f"**{value}**"
    value += marks(cell)
    if block.significant(cell):
        value += f" {AHEAD}"
    letters = block.letters.get(cell.key)
    group = f"group {letters}" if letters else ""
    lines = (
        value,
        record_links(cell),
        badge_text(cell),
        cost_text(cell),
        escape(origin_text(cell)),
        group,
        learned_text(cell),
        paper_line(cell, top5),
    )
    return "<br>".join(filter(None, lines))


def resolution_text(block: Block, column: Column) -> str:
    """Return the smallest difference that a column's seeds resolve."""
    difference = block.resolution.get(column)
    return MISSING if difference is None else accuracy_text(difference)


def mean_text(cell: Cell, top5: bool = False) -> str:
    """Return mean ± std, without std for a single seed; – for a cell without accuracy."""
    if cell.mean is None:
        return MISSING
    value = accuracy_text(cell.mean)
    if cell.std is not None:
        value += f" ± {accuracy_text(cell.std)}"
    if top5:
        value += f" / {MISSING if cell.top5 is None else accuracy_text(cell.top5)}"
    return value


def marks(cell: Cell) -> str:
    """Return the marks of a cell's runs; with a count, unless they apply to all runs."""
    total = len(cell.results)
    text = ""
    for mark, count in ((COLLAPSED, cell.collapsed), (DIVERGED, cell.diverged)):
        if count:
            text += f" {mark}" if count == total else f" {mark} {count} of {total}"
    for mark, fraction in ((UNPRUNED, cell.unpruned), (ZEROS, cell.zeros)):
        if fraction is not None:
            text += f" {mark} {100 * fraction:.3g} %"
    text += f" {ON_TEST}" if cell.selected_on_test else ""
    return text + (f" {DENSE_TO_SPARSE}" if cell.dense_to_sparse else "")


def record_links(cell: Cell) -> str:
    """Return a link to each record of a cell, labelled by its seed, with its accuracy.

    Of very many, the first are linked, so that the file can be read.
    """
    if not cell.results:
        return ""
    if len(cell.results) == 1:
        return f"seed {link(str(cell.results[0].seed), cell.results[0].link)}"
    seeds = [_seed(result) for result in cell.results[:LINKED]]
    if (more := len(cell.results) - LINKED) > 0:
        seeds.append(f"{more:,} more in {link('records/', 'records/')}")
    return f"n = {cell.n}, seeds {' · '.join(seeds)}"


def _seed(result: Result) -> str:
    accuracy = DIVERGED if result.accuracy is None else accuracy_text(result.accuracy)
    mark = COLLAPSED if result.collapsed else ""
    return f"{link(str(result.seed), result.link)} {accuracy}{mark}"


def paper_line(cell: Cell, top5: bool = False) -> str:
    """Return the paper's number and the difference from it; empty where the paper has none."""
    if cell.paper is None:
        return ""
    text = f"paper {paper_text(cell, std=True, top5=top5)}"
    return text if cell.difference is None else f"{text} ({signed(cell.difference)})"


def footnotes(blocks: Sequence[Block], top5: bool = False) -> str:
    """Return an explanation of the numbers and marks of these blocks."""
    lines = [
        f"Test accuracy in percent{', top-1 / top-5' if top5 else ''}: mean ± standard deviation "
        "(ddof = 1) over seeds, which link to their records and have their accuracies beside them; "
        "at the final epoch under the protocols strict and all_images, at the best validation "
        "epoch under the others.",
        "**Bold**: the highest mean of its column; means that print the same tie.",
        f"{AHEAD} ahead of the second of its column by Welch's t-test (two-sided, ddof = 1), "
        "p < 0.05 after Holm's correction over all pairs of the column. Without it no difference "
        "is claimed; one seed, or seeds without variance, cannot be tested.",
        "group: two cells of a column that share a letter cannot be told apart by this test of all "
        "pairs; a cell without letters was not tested.",
        "MACs: of one image; training: FLOPs of all steps, forward and backward, with the dense "
        "gradients that a method reads; both relative to the dense network (docs/counting.md). "
        "seeds differ in: what else differs between the runs of a cell.",
        "smallest difference resolved: what a column's seeds detect with 80 % power in one test at "
        "5 %, in percentage points, from the pooled standard deviation within its cells; "
        "collapsed and diverged cells are left out.",
        f"{COLLAPSED} collapsed: no path of live weights is left, or the accuracy is chance; "
        "it is part of the mean, and the mean of the other seeds is given as well. "
        f"{DIVERGED} diverged, and so without accuracy: the mean is over the other seeds, and "
        f"never bold. {ON_TEST} the epoch was chosen on test images. {MISSING} not run.",
    ]
    cells = [cell for block in blocks for cell in block.cells.values()]
    if any(cell.unpruned is not None for cell in cells):
        lines.append(
            f"{UNPRUNED} so much of the network's weights is of kinds that are never pruned: the "
            "sparsity is that of the others."
        )
    if any(cell.zeros is not None for cell in cells):
        lines.append(
            f"{ZEROS} so many of the live weights are exactly zero (mean over seeds; shown from "
            "1 %)."
        )
    if any(cell.dense_to_sparse for cell in cells):
        lines.append(
            f"{DENSE_TO_SPARSE} dense to sparse: training had more live weights than the finished "
            "network, which alone has the sparsity of its column."
        )
    if any(cell.results for cell in cells):
        lines.append(BADGE_LEGEND)
    if any(cell.paper for cell in cells):
        lines.append(
            "paper: the paper's number for the same dataset, model and schedule; a section's title "
            "says where its settings are others; in brackets, ours minus the paper's."
        )
    doubts = dict.fromkeys(cell.paper.doubt for cell in cells if cell.paper and cell.paper.doubt)
    lines += [f"{DOUBT} in doubt: {escape(doubt)}" for doubt in doubts]
    return "\n".join(f"- {line}" for line in lines)
