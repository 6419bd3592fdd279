"""How numbers are printed, in markdown and on the page."""

import statistics

from dstbench.boards.cells import Cell, Result

MISSING = "–"
LINKED = 25  # records of a cell that are linked; a cell of more says how many there are
DOUBT = "?"  # beside a number of the paper that is in doubt


def accuracy_text(value: float) -> str:
    """Return an accuracy with two decimals; accuracies with the same text are a tie."""
    return f"{value:.2f}"


def seed_text(result: Result) -> str:
    """Return the accuracy of one run, or that it diverged; whether it collapsed."""
    if result.accuracy is None:
        return "diverged"
    return accuracy_text(result.accuracy) + (" collapsed" if result.collapsed else "")


def seeds_text(cell: Cell) -> str:
    """Return the accuracy of every seed, in one line."""
    return ", ".join(f"seed {result.seed}: {seed_text(result)}" for result in cell.results)


def learned_text(cell: Cell) -> str:
    """Return mean ± std over the runs that did not collapse; empty unless only some did."""
    values = cell.learned
    if not cell.collapsed or not values:
        return ""
    std = f" ± {accuracy_text(statistics.stdev(values))}" if len(values) > 1 else ""
    mean = accuracy_text(statistics.fmean(values))
    return f"without collapsed {mean}{std} (n = {len(values)})"


def fraction_text(fraction: float) -> str:
    """Return a fraction of the dense network's cost, with three significant digits."""
    return f"{fraction:#.3g}".rstrip(".") if fraction < 1 else f"{fraction:.2f}"


def cost_text(cell: Cell) -> str:
    """Return MACs and training FLOPs relative to the dense network; empty where neither is known.

    A dense cell has 1.00 of both.
    """
    costs = (("MACs", cell.macs), ("training", cell.training))
    known = [f"{name} {fraction_text(value)} ×" for name, value in costs if value is not None]
    return ", ".join(known)


def origin_text(cell: Cell) -> str:
    """Return in what the origins of a cell's seeds differ; empty where they are the same."""
    return f"seeds differ in {', '.join(cell.mixed_origins)}" if cell.mixed_origins else ""


def badge_text(cell: Cell) -> str:
    """Return how far a cell's results were checked; with counts, unless all have one badge."""
    badges, total = cell.badges, len(cell.results)
    if len(badges) == 1:
        return next(iter(badges))
    return ", ".join(f"{badge} {count} of {total}" for badge, count in badges.items())


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


GROUPS = (
    "Two cells of one group can be several points apart: few seeds leave their means uncertain, "
    "and Holm's correction over all pairs of the column asks more evidence of each pair. Bold is "
    "the highest mean, whatever its cost and its number of seeds."
)
