"""Reads paper.json, the numbers of the paper's tables, and looks up those of a cell.

The file is looked up in the leaderboard's folder first, then in the installed suite.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dstbench.boards.cells import Key
from dstbench.boards.row_types import PaperValue, SpeedRow
from dstbench.config.shipped_files import roots
from dstbench.errors import UserError
from dstbench.utils.json_text import parse_json

FILE = "paper.json"

CellName = tuple[str, str, str, str, float]  # method, dataset, model, recipe, sparsity


@dataclass(frozen=True)
class PaperNumbers:
    """The content of paper.json; empty where there is no such file."""

    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """Such as "arXiv:2411.13545"."""
        return self.content.get("source", "")

    @cached_property
    def _values(self) -> dict[CellName, tuple[PaperValue, frozenset[str]]]:
        """Every accuracy, with the lines that a configuration must have to be comparable."""
        found = {}
        for block in self.content.get("accuracy", ()):
            where = block["dataset"], block["model"], block["recipe"]
            lines = frozenset(f"{name} = {value}" for name, value in block["settings"].items())
            source = f"{self.source}, {block['table']}"
            for method, row in block["rows"].items():
                top5 = block.get("top5", {}).get(method, [None] * len(row))
                doubts = block.get("doubts", {}).get(method, [None] * len(row))
                columns = zip(block["sparsities"], row, top5, doubts, strict=True)
                for sparsity, (mean, std), five, doubt in columns:
                    why = doubt and self.content["doubts"][doubt]
                    value = PaperValue(mean, std, source, five, why)
                    found[(method, *where, sparsity)] = (value, lines)
        return found

    def value(self, key: Key, configurations: frozenset[str] = frozenset()) -> PaperValue | None:
        """Return the paper's accuracy for a cell; None where its settings differ.

        configurations: gin texts of the cell's results; empty for a cell without results.
        """
        column = key.column
        name = (key.method, column.dataset, column.model, column.recipe, column.sparsity)
        value, lines = self._values.get(name, (None, frozenset()))
        if all(lines <= set(text.splitlines()) for text in configurations):
            return value
        return None

    def notes(self, table: str) -> tuple[str, ...]:
        """Return the notes on a table, by the table's name."""
        return tuple(self.content.get("notes", {}).get(table, ()))

    def cost(self, method: str, dataset: str, model: str, sparsity: float) -> "PaperCost | None":
        """Return the paper's cost of a method's network; None where it has none."""
        costs = self.content.get("cost", {})
        if not costs or (costs["dataset"], costs["model"]) != (dataset, model):
            return None
        row = costs["rows"].get(method)
        if row is None or repr(sparsity) not in row["macs"]:
            return None
        return PaperCost(
            macs=1e6 * row["macs"][repr(sparsity)],
            stored=1e6 * row["stored"],
            doubt="doubt" in row,
            multiple=row.get("multiple", {}).get(repr(sparsity)),
            reference=costs.get("reference"),
            formulas=row.get("formulas"),
        )

    def speeds(self, methods: Collection[str]) -> tuple[SpeedRow, ...]:
        """Return the paper's speeds of these methods' networks."""
        found = self.content.get("inference", {})
        return tuple(
            SpeedRow(
                method=method,
                form=f"{self.source}, {found['table']}",
                batch=found["batch"],
                latency_ms=row["latency_ms"],
                images_per_s=row["images_per_s"],
                machine=found["device"],
            )
            for method, row in found.get("rows", {}).items()
            if method in methods
        )


@dataclass(frozen=True)
class PaperCost:
    """The paper's cost of a network.

    macs: of one image.
    stored: stored weights.
    doubt: whether the paper contradicts itself about the MACs.
    multiple: of the reference's MACs, as the paper's text states it; None where it does not.
    reference: the method whose MACs the multiple is of; None where no row has one.
    formulas: of MACs, size, and size on a GPU, in symbols; None where it prints none.
    """

    macs: float
    stored: float
    doubt: bool
    multiple: float | None = None
    reference: str | None = None
    formulas: str | None = None


def read_paper(folder: Path) -> PaperNumbers:
    """Return the paper's numbers for a leaderboard in `folder`; empty without such a file.

    Raises UserError for a file that is not JSON.
    """
    for path in (folder / FILE, *(root / "leaderboard" / FILE for root in roots())):
        if path.is_file():
            try:
                return PaperNumbers(parse_json(path.read_text(encoding="utf-8")))
            except (OSError, ValueError) as error:
                raise UserError(f"{path}: cannot be read as JSON ({error}).") from None
    return PaperNumbers()
