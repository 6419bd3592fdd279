"""Numbers, marks and names of methods, as they are shown everywhere on the page."""

from dstbench.figures.styles import look
from dstbench.leaderboard.board import Cell, shown
from dstbench.leaderboard.page.html import Html, join, tag

NOTHING = "–"


def method(name: str) -> Html:
    """A method's name after the colour that it has in the figures."""
    dot = tag("circle", cx="5", cy="5", r="4", fill=look(name).color)
    picture = tag("svg", dot, viewBox="0 0 10 10", class_="dot", aria_hidden="true")
    return tag("span", picture, tag("span", name), class_="method")


def accuracy(cell: Cell, top5: bool = False) -> Html:
    """Mean ± standard deviation over seeds, and the top-5 accuracy; a dash where there is none."""
    if cell.mean is None:
        return tag("span", NOTHING, class_="none")
    spread = None if cell.std is None else tag("span", f" ± {shown(cell.std)}", class_="std")
    other = f" / {NOTHING if cell.top5 is None else shown(cell.top5)}" if top5 else None
    return tag("span", shown(cell.mean), spread, other, class_="mean")


def paper(cell: Cell) -> str:
    """What the paper prints, its standard deviation as well."""
    if cell.paper is None:
        return NOTHING
    spread = "" if cell.paper.std is None else f" ± {shown(cell.paper.std)}"
    return shown(cell.paper.mean) + spread


def against(cell: Cell, top5: bool = False) -> str | None:
    """The paper's number in short, and the difference."""
    if cell.paper is None:
        return None
    said = f"paper {shown(cell.paper.mean)}"
    if top5 and cell.paper.top5 is not None:
        said += f" / {shown(cell.paper.top5)}"
    return said if cell.difference is None else f"{said}, {difference(cell)}"


def difference(cell: Cell) -> str:
    """Ours minus the paper's, with its sign; a true minus."""
    if cell.difference is None:
        return NOTHING
    return f"{cell.difference:+.2f}".replace("-", "−")


def marks(cell: Cell) -> Html | None:
    """What is to be known before a number is believed."""
    of = f" {{}}/{len(cell.results)}"
    found = [
        _pill("collapsed" + of.format(cell.collapsed), "bad") if cell.collapsed else None,
        _pill("diverged" + of.format(cell.diverged), "bad") if cell.diverged else None,
        _pill("selected on test", "warn") if cell.selected_on_test else None,
    ]
    return join(*found) if any(found) else None


def legend() -> Html:
    """What all that means."""
    said = [
        (tag("b", "bold"), "the highest mean of its section and column, or several that tie; "
         "without * no claim"),
        (tag("b", "*"), "ahead of the second best: Welch's t-test, two-sided, Holm-adjusted over "
         "the table, p < 0.05"),
        (tag("span", "± 0.31", class_="std"), "standard deviation over seeds, of the sample"),
        ("34.45 / 62.44", "top-1 and top-5 accuracy; elsewhere it is top-1"),
        (tag("span", "n 3", class_="small"), "number of seeds that the mean is of"),
        (tag("span", "paper 83.83, −0.20", class_="small"),
         "what the paper prints, and ours minus the paper's in percentage points"),
        (_pill("collapsed 1/3", "bad"), "runs that learnt nothing; their accuracy is chance and "
         "is in the mean"),
        (_pill("diverged 1/3", "bad"), "runs that ended in NaN; they have no accuracy, and their "
         "cell is never the best"),
        (_pill("selected on test", "warn"), "the epoch was chosen on the test images, as the "
         "protocol has it: too high"),
        (tag("span", NOTHING, class_="none"), "not run yet"),
    ]  # fmt: skip
    rows = [join(tag("dt", sign), tag("dd", meaning)) for sign, meaning in said]
    return tag("section", tag("h2", "What the marks mean"), tag("dl", *rows), id="legend")


def _pill(said: str, kind: str) -> Html:
    return tag("span", said, class_=f"pill {kind}")
