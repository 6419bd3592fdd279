"""The cells of accuracy tables: one method in one column, with a result for every seed.

A cell is one (method, dataset, model, recipe, protocol, precision, sparsity). Nothing is ever
averaged across two of those, nor across two configurations or sets of images under one of them.
Accuracies are in percent; sparsities are fractions removed, in [0, 1].
"""

import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from dstbench.boards.badges import BADGES, Badge
from dstbench.boards.row_types import PaperValue
from dstbench.sparsity import UNPRUNED_FRACTION

_MARKED_ZEROS = 0.01


class Column(NamedTuple):
    """What all cells that are compared with each other have in common."""

    dataset: str
    model: str
    recipe: str
    protocol: str
    precision: str  # "" in a column without any result
    sparsity: float
    variant: str = ""  # what differs from other columns of the same names; outside grids only

    @property
    def setting(self) -> "Column":
        """The column without its sparsity: what is the same over a heading."""
        return self._replace(sparsity=0.0)


class Key(NamedTuple):
    """What identifies a cell: one method in one column."""

    method: str
    column: Column


@dataclass(frozen=True)
class Result:
    """The record of a finished or diverged run, reduced to what is shown of it.

    name: of the record's file, without ending: `records/<name>.json`, `curves/<name>.json`.
    key: the cell it belongs to.
    seed: of weights, masks and batches.
    diverged: the loss became NaN or infinite.
    accuracy: on the test images, at the epoch that the protocol reports; None when diverged.
    top5: top-5 accuracy at that epoch; None where the record has none.
    validation: accuracy on the validation images at that epoch; None where these are the test
        images.
    collapsed: no live path is left, or the accuracy is chance; see metrics/collapse.py.
    selected_on_test: the epoch was chosen on the test images.
    live: number of live weights.
    prunable: number of prunable weights.
    measured: sparsity of the masks.
    effective: sparsity without weights on no live path (Vysogorets & Kempe).
    macs: multiply-accumulates of one image.
    dense_macs: the same of the dense network.
    training_flops: of the whole run, forward and backward; None in older records.
    dense_training_flops: the same of the dense network.
    configuration: gin text without the seed's line, and the hashes of plugins.
    images: sha256 of the decoded images.
    sha256: of the gin text, seed included.
    commit: of dstbench, for the run.
    device: that trained the run.
    train_seconds: duration of training.
    command: the command line of the run, without folders.
    layers: (name, shape) of every prunable tensor; empty when diverged.
    live_zeros: number of live weights that are exactly zero.
    unpruned: fraction of the weights that are of kinds never pruned.
    uncounted: products that the MACs leave out, in words; None for none.
    dense_to_sparse: whether training had more live weights than the finished network.
    badge: how far the result was checked.
    origin: (name, value) of what may change the last digits: commit, device, versions, plugins.
    """

    name: str
    key: Key
    seed: int
    diverged: bool
    accuracy: float | None
    top5: float | None
    validation: float | None
    collapsed: bool
    selected_on_test: bool
    live: int | None
    prunable: int | None
    measured: float | None
    effective: float | None
    macs: int | None
    dense_macs: int | None
    configuration: str = field(repr=False)
    images: str | None
    sha256: str
    commit: str | None
    device: str | None
    train_seconds: float | None
    command: tuple[str, ...] = ()
    layers: tuple[tuple[str, tuple[int, ...]], ...] = ()
    live_zeros: int | None = None
    unpruned: float = 0.0
    uncounted: str | None = None
    dense_to_sparse: bool = False
    badge: Badge = "self-reported"
    origin: tuple[tuple[str, str], ...] = ()
    training_flops: int | None = None
    dense_training_flops: int | None = None

    @property
    def link(self) -> str:
        """Path of the record, relative to the leaderboard's folder."""
        return f"records/{self.name}.json"


@dataclass(frozen=True)
class Cell:
    """The results of one cell, by seed.

    A diverged run has no accuracy: the mean is over the other runs, and a cell with a diverged run
    is never called best.

    key: method and column.
    results: by seed; empty where nothing was run.
    paper: only where dataset, model, recipe and settings are the paper's.
    """

    key: Key
    results: tuple[Result, ...] = ()
    paper: PaperValue | None = None

    @cached_property
    def values(self) -> tuple[float, ...]:
        """Accuracies of the runs that have one."""
        return tuple(r.accuracy for r in self.results if r.accuracy is not None)

    @property
    def n(self) -> int:
        """Number of seeds in the mean."""
        return len(self.values)

    @cached_property
    def mean(self) -> float | None:
        """Mean accuracy over seeds."""
        return statistics.fmean(self.values) if self.values else None

    @cached_property
    def std(self) -> float | None:
        """Sample standard deviation (ddof = 1); None for fewer than two seeds."""
        return statistics.stdev(self.values) if self.n > 1 else None

    @cached_property
    def learned(self) -> tuple[float, ...]:
        """Accuracies of the runs that neither collapsed nor diverged."""
        return tuple(r.accuracy for r in self.results if r.accuracy is not None and not r.collapsed)

    @property
    def top5(self) -> float | None:
        """Mean top-5 accuracy, if every result has one."""
        values = [r.top5 for r in self.results if r.accuracy is not None]
        known = [v for v in values if v is not None]
        return statistics.fmean(known) if known and len(known) == len(values) else None

    @property
    def collapsed(self) -> int:
        """Number of collapsed runs; their accuracy, chance, is part of the mean."""
        return sum(r.collapsed for r in self.results)

    @property
    def diverged(self) -> int:
        """Number of diverged runs."""
        return sum(r.diverged for r in self.results)

    @cached_property
    def macs(self) -> float | None:
        """Mean MACs of one image, as a fraction of the dense network's."""
        return _mean_fraction((r.macs, r.dense_macs) for r in self.results)

    @cached_property
    def training(self) -> float | None:
        """Mean FLOPs of training, as a fraction of those of the dense network."""
        return _mean_fraction((r.training_flops, r.dense_training_flops) for r in self.results)

    @cached_property
    def mixed_origins(self) -> tuple[str, ...]:
        """Names of what differs between the origins of the seeds, such as "commit"."""
        origins = [dict(r.origin) for r in self.results]
        names = dict.fromkeys(name for origin in origins for name in origin)
        return tuple(name for name in names if len({o.get(name) for o in origins}) > 1)

    @property
    def badges(self) -> dict[Badge, int]:
        """Number of runs with each badge, the most trusted first."""
        counts = Counter(result.badge for result in self.results)
        return {badge: counts[badge] for badge in BADGES if counts[badge]}

    @property
    def selected_on_test(self) -> bool:
        """Whether any run's epoch was chosen on the test images."""
        return any(r.selected_on_test for r in self.results)

    @property
    def unpruned(self) -> float | None:
        """Fraction of weights that are never pruned, where it is so large that it is marked."""
        largest = max((r.unpruned for r in self.results), default=0.0)
        return largest if largest > UNPRUNED_FRACTION else None

    @property
    def zeros(self) -> float | None:
        """Mean fraction of live weights that are exactly zero, where it is 1 % or more."""
        mean = _mean_fraction((r.live_zeros, r.live) for r in self.results)
        return mean if mean is not None and mean >= _MARKED_ZEROS else None

    @property
    def dense_to_sparse(self) -> bool:
        """Whether a run of the cell had more live weights during training than at its end."""
        return any(result.dense_to_sparse for result in self.results)

    @property
    def difference(self) -> float | None:
        """The mean minus the paper's, in percentage points."""
        if self.mean is None or self.paper is None:
            return None
        return self.mean - self.paper.mean


def _mean_fraction(pairs: Iterable[tuple[int | None, int | None]]) -> float | None:
    """Return the mean of part / whole over the pairs that have both; None without any."""
    fractions = [part / whole for part, whole in pairs if part is not None and whole]
    return statistics.fmean(fractions) if fractions else None
