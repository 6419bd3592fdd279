"""The columns of the tables of costs, speeds and trials, for both markdown and the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from dstbench.boards.formatting import (
    MISSING,
    accuracy_text,
    fraction_text,
    millions,
    signed,
)
from dstbench.boards.row_types import CostRow, CountedCost, SpeedRow, TrialRow
from dstbench.sparsity import percent

Row = TypeVar("Row", CostRow, SpeedRow, TrialRow)


@dataclass(frozen=True)
class TableColumn(Generic[Row]):
    """One column of a table.

    key: names the column in links to the page.
    heading: its title.
    text: row → what is printed.
    value: row → the number the column sorts by, None where it is missing; None for text.
    note: row → why its text is in doubt; None where it is not.
    optional: whether the column is left out of a table in which no row has a text.
    links: row → (text, path) of the files that its text names; empty for a text without links.
    """

    key: str
    heading: str
    text: Callable[[Row], str]
    value: Callable[[Row], float | None] | None = None
    note: Callable[[Row], str | None] = lambda row: None
    optional: bool = False
    links: Callable[[Row], Sequence[tuple[str, str]]] = lambda row: ()


def _number(
    key: str,
    heading: str,
    value: Callable[[Row], float | None],
    form: Callable[[float], str],
    note: Callable[[Row], str | None] = lambda row: None,
    optional: bool = False,
) -> TableColumn[Row]:
    """Return a column of numbers. form: number → text."""

    def text(row: Row) -> str:
        number = value(row)
        return MISSING if number is None else form(number)

    return TableColumn(key, heading, text, value, note, optional)


def _counted(number: Callable[[CountedCost], float]) -> Callable[[CostRow], float | None]:
    return lambda row: None if row.counted is None else number(row.counted)


def _macs(row: CostRow) -> str:
    """Return the MACs, and which products they leave out."""
    if row.counted is None:
        return MISSING
    text = millions(row.counted.macs)
    return f"{text} (not counted: {row.uncounted})" if row.uncounted else text


def _macs_difference(row: CostRow) -> float | None:
    if row.counted is None or row.paper_macs is None:
        return None
    return row.counted.macs - row.paper_macs


def _contradiction(row: SpeedRow) -> str | None:
    return None if row.consistent else "latency, batch and images/s contradict each other"


def _validation(row: TrialRow) -> str:
    """Return mean ± std, and how many runs collapsed or diverged."""
    mean = MISSING if row.accuracy is None else accuracy_text(row.accuracy)
    std = "" if row.std is None else f" ± {accuracy_text(row.std)}"
    counts = (("collapsed", row.collapsed), ("diverged", row.diverged))
    wrong = ", ".join(f"{name} {count} of {len(row.seeds)}" for name, count in counts if count)
    return f"{mean}{std} ({wrong})" if wrong else f"{mean}{std}"


def _protocol(row: TrialRow) -> str:
    return " · ".join(filter(None, (row.recipe, row.protocol, row.precision)))


def _of_dense(fraction: float) -> str:
    return f"{fraction_text(fraction)} ×"


def _multiple(number: float) -> str:
    return f"{number:.1f} ×"


def _whole(number: float) -> str:
    return f"{number:,}"


def _latency(ms: float) -> str:
    return f"{ms:.3g}" if ms < 100 else f"{ms:,.0f}"


COST_COLUMNS: tuple[TableColumn[CostRow], ...] = (
    TableColumn("method", "method", lambda row: row.method),
    _number("sparsity", "sparsity", lambda row: row.sparsity, percent),
    TableColumn("macs", "MACs (M)", _macs, _counted(lambda cost: cost.macs)),
    _number(
        "share", "of dense", _counted(lambda cost: cost.macs / cost.dense_macs),
        lambda fraction: f"{fraction:.5f} ×",
    ),
    _number("paper", "paper (M)", lambda row: row.paper_macs, millions, lambda row: row.note),
    _number("difference", "difference (M)", _macs_difference, lambda macs: signed(macs / 1e6)),
    _number("multiple", "of standard DST", lambda row: row.multiple, _multiple, optional=True),
    _number(
        "paper-multiple", "paper (×)", lambda row: row.paper_multiple, "{:g} ×".format,
        optional=True,
    ),
    _number("live", "live weights", _counted(lambda cost: cost.live_weights), _whole),
    _number(
        "stored", "stored weights (M)", _counted(lambda cost: cost.stored_weights),
        lambda weights: millions(weights, 1),
    ),
    _number(
        "paper-stored", "paper (M)", lambda row: row.paper_stored,
        lambda weights: millions(weights, 1),
    ),
    _number("deployed", "deployed (bytes)", _counted(lambda cost: cost.deployed_bytes), _whole),
    TableColumn(
        "formulas", "paper: MACs · size · size on a GPU", lambda row: row.formulas or MISSING,
        optional=True,
    ),
)  # fmt: skip

SPEED_COLUMNS: tuple[TableColumn[SpeedRow], ...] = (
    TableColumn("method", "method", lambda row: row.method),
    TableColumn("model", "model", lambda row: row.model or MISSING),
    TableColumn("dataset", "trained on", lambda row: row.dataset or MISSING),
    _number("sparsity", "sparsity", lambda row: row.sparsity, percent),
    TableColumn("form", "form", lambda row: row.form, note=_contradiction),
    _number("batch", "batch", lambda row: row.batch, str),
    _number("latency", "latency (ms)", lambda row: row.latency_ms, _latency),
    _number("throughput", "images/s", lambda row: row.images_per_s, "{:,.2f}".format),
    _number("speedup", "× best dense fp32", lambda row: row.speedup, "{:.3g}".format),
    _number(
        "speedup-any", "× best dense", lambda row: row.speedup_any, "{:.3g}".format, optional=True
    ),
    TableColumn("machine", "machine", lambda row: row.machine),
)


TRIAL_COLUMNS: tuple[TableColumn[TrialRow], ...] = (
    TableColumn("method", "trial", lambda row: row.method),
    TableColumn("model", "network", lambda row: f"{row.model} · {row.dataset}"),
    TableColumn("recipe", "recipe", _protocol),
    _number("sparsity", "sparsity", lambda row: row.sparsity, percent),
    TableColumn(
        "validation", "validation accuracy (%)", _validation, lambda row: row.accuracy
    ),
    TableColumn(
        "seeds", "seeds", lambda row: ", ".join(str(seed) for seed, _ in row.seeds),
        links=lambda row: [(str(seed), path) for seed, path in row.seeds],
    ),
    TableColumn("badge", "checked", lambda row: row.badge),
    _number("macs", "MACs", lambda row: row.macs, _of_dense),
    _number("training", "training FLOPs", lambda row: row.training, _of_dense),
)  # fmt: skip

TRIALS_NOTE = (
    "Accuracy: on the validation images, at the epoch that the protocol shows, mean ± standard "
    "deviation (ddof = 1) over seeds that did not diverge. Settings are chosen by it, so test "
    "accuracies are not shown. Trials with a diverged run are ranked after the others. MACs of one "
    "image and FLOPs of training, relative to the dense network."
)


def shown_columns(
    columns: Sequence[TableColumn[Row]], rows: Sequence[Row]
) -> list[TableColumn[Row]]:
    """Return the columns of a table: optional ones only where a row has something to print."""
    return [
        column
        for column in columns
        if not column.optional or any(column.text(row) != MISSING for row in rows)
    ]
