"""Rows of the cost and inference tables: counted costs, measured speeds, the paper's numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PaperValue:
    """What a paper prints for a cell. source: such as "arXiv:2411.13545, Table 1"."""

    mean: float
    std: float | None
    source: str
    top5: float | None = None


@dataclass(frozen=True)
class CostRow:
    """What `dstbench cost` says of a method at one sparsity, beside what the paper prints.

    figures: as `dstbench cost --json` prints them, without layers; None where it was not run.
    paper_macs, paper_stored: MACs and stored weights; None where the paper has none.
    note: why the two cannot agree, where that is known.
    """

    method: str
    sparsity: float
    command: tuple[str, ...]
    figures: Mapping[str, Any] | None
    paper_macs: float | None
    paper_stored: float | None
    note: str | None
    link: str | None = None  # to the file, relative to the leaderboard's folder


@dataclass(frozen=True)
class Measurement:
    """One line of what `dstbench measure` timed, as medians.

    dataset: what the network was trained on, "" for a worst case. form: a way to run it, such as
    "dense", "masked" or "deployed". latency_ms: of a whole batch. machine: what it was timed on.
    link: to the file, relative to the leaderboard's folder.
    """

    method: str
    sparsity: float
    model: str
    dataset: str
    form: str
    batch: int
    latency_ms: float
    images_per_s: float
    machine: str
    link: str


@dataclass(frozen=True)
class PaperSpeed:
    """What a paper prints about how fast a method's network answers."""

    method: str
    latency_ms: float
    images_per_s: float
    batch: int
    machine: str
    source: str

    @property
    def consistent(self) -> bool:
        """Whether the images of a batch over its latency are the throughput, within 5 %."""
        return math.isclose(1000 * self.batch / self.latency_ms, self.images_per_s, rel_tol=0.05)
