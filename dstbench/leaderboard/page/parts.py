"""What all tables of the page have: heads that sort, a box that scrolls, what is filtered by."""

from typing import Any

from dstbench.leaderboard.board import Column, Key
from dstbench.leaderboard.page.html import Html, tag
from dstbench.sparsity import percent


def slug(key: Key) -> str:
    """Names a cell on the page."""
    return "cell-" + "-".join(
        "".join(letter if letter.isalnum() else f"_{ord(letter):x}_" for letter in str(part))
        for part in (key.method, *key.column)
    )


def button(
    said: str, key: str, *, numbers: bool = True, first: bool = False, **attributes: str | int
) -> Html:
    """The head of a column, which sorts by it.

    key: names the column in links to the page. first: of its group of columns.
    """
    inner = tag("button", said, type="button", data_sort=key)
    classes = " ".join(["number"] * numbers + ["first"] * first) or None
    return tag("th", inner, scope="col", aria_sort="none", class_=classes, **attributes)


def scrolling(table: Html, label: str) -> Html:
    """A box in which a wide table scrolls, also with the keyboard."""
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=label)


def data(column: Column) -> dict[str, Any]:
    """Attributes that page.js filters by."""
    return {
        "data_dataset": column.dataset,
        "data_model": column.model,
        "data_sparsity": percent(column.sparsity),
    }
