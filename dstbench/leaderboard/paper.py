"""What the paper's tables print, read from paper.json, and where it may stand beside a result.

The file is looked up in the leaderboard's folder first, then where the suite keeps its own.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dstbench.config.shipped_files import roots
from dstbench.errors import UserError
from dstbench.leaderboard.board import Key
from dstbench.leaderboard.rows import PaperSpeed, PaperValue

FILE = "paper.json"

Cellname = tuple[str, str, str, str, float]  # method, dataset, model, recipe, sparsity


@dataclass(frozen=True)
class Paper:
    """The content of paper.json; an empty one has nothing to say."""

    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        return self.content.get("source", "")

    @cached_property
    def _values(self) -> dict[Cellname, tuple[PaperValue, frozenset[str]]]:
        """Every accuracy, and the lines of a configuration that it holds for."""
        found = {}
        for block in self.content.get("accuracy", ()):
            where = block["dataset"], block["model"], block["recipe"]
            lines = frozenset(f"{name} = {value}" for name, value in block["settings"].items())
            source = f"{self.source}, {block['table']}"
            for method, row in block["rows"].items():
                top5 = block.get("top5", {}).get(method, [None] * len(row))
                for sparsity, (mean, std), five in zip(block["sparsities"], row, top5, strict=True):
                    value = PaperValue(mean, std, source, five)
                    found[(method, *where, sparsity)] = (value, lines)
        return found

    def value(self, key: Key, configurations: frozenset[str] = frozenset()) -> PaperValue | None:
        """What the paper has for a cell whose results have these configurations, if they are its.

        With no result at all, what it has for the cell.
        """
        column = key.column
        name = (key.method, column.dataset, column.model, column.recipe, column.sparsity)
        value, lines = self._values.get(name, (None, frozenset()))
        if all(lines <= set(text.splitlines()) for text in configurations):
            return value
        return None

    def notes(self, table: str) -> tuple[str, ...]:
        """What is to be said below a table, by the table's name."""
        return tuple(self.content.get("notes", {}).get(table, ()))

    def cost(self, method: str, dataset: str, model: str, sparsity: float) -> "PaperCost | None":
        """What the paper has for the cost of a method's network."""
        costs = self.content.get("cost", {})
        if not costs or (costs["dataset"], costs["model"]) != (dataset, model):
            return None
        row = costs["rows"].get(method)
        if row is None or repr(sparsity) not in row["macs"]:
            return None
        return PaperCost(1e6 * row["macs"][repr(sparsity)], 1e6 * row["stored"], "doubt" in row)

    def speeds(self, methods: Collection[str]) -> tuple[PaperSpeed, ...]:
        """What the paper has about how fast these methods' networks answer."""
        found = self.content.get("inference", {})
        return tuple(
            PaperSpeed(
                method, row["latency_ms"], row["images_per_s"], found["batch"], found["device"],
                f"{self.source}, {found['table']}",
            )
            for method, row in found.get("rows", {}).items()
            if method in methods
        )  # fmt: skip


@dataclass(frozen=True)
class PaperCost:
    """MACs and stored weights; doubt: the paper contradicts itself about the MACs."""

    macs: float
    stored: float
    doubt: bool


def read(folder: Path) -> Paper:
    """The paper's numbers for a leaderboard in `folder`; empty when there is no such file.

    Raises UserError for a file that is not JSON.
    """
    for path in (folder / FILE, *(root / "leaderboard" / FILE for root in roots())):
        if path.is_file():
            try:
                return Paper(json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError) as error:
                raise UserError(f"{path}: cannot be read as JSON ({error}).") from None
    return Paper()
