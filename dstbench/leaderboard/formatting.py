"""How numbers are printed, in markdown and on the page."""

from dstbench.leaderboard.cells import Cell

MISSING = "–"
DOUBT = "?"  # beside a number of the paper that is in doubt


def accuracy_text(value: float) -> str:
    """Return an accuracy with two decimals; accuracies with the same text are a tie."""
    return f"{value:.2f}"


def millions(value: float, decimals: int = 2) -> str:
    """Return a count in millions, without the unit."""
    return f"{value / 1e6:,.{decimals}f}"


def signed(value: float) -> str:
    """Return a difference with two decimals and its sign; one that rounds to zero has none."""
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")


def paper_text(cell: Cell, *, std: bool, top5: bool) -> str:
    """Return the paper's number for a cell that has one.

    std: whether the standard deviation is added.
    top5: whether the top-5 accuracy is added.
    """
    assert cell.paper is not None
    text = accuracy_text(cell.paper.mean)
    if std and cell.paper.std is not None:
        text += f" ± {accuracy_text(cell.paper.std)}"
    if top5 and cell.paper.top5 is not None:
        text += f" / {accuracy_text(cell.paper.top5)}"
    return f"{text} {DOUBT}" if cell.paper.doubt else text
