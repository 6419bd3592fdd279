"""Rows of the tables of costs, speeds and trials, and the paper's numbers."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class PaperValue:
    """The paper's accuracy for a cell, in percent.

    mean: top-1.
    std: over the paper's runs; None where it prints none.
    source: such as "arXiv:2411.13545, Table 1".
    top5: top-5; None where the paper prints none.
    doubt: why the number may not be comparable; None where nothing is known against it.
    """

    mean: float
    std: float | None
    source: str
    top5: float | None = None
    doubt: str | None = None


@dataclass(frozen=True)
class CountedCost:
    """What `dstbench cost` counted of a finished network.

    macs: multiply-accumulates of one image.
    dense_macs: the same of the dense network.
    live_weights: each tensor once.
    stored_weights: zeros included, each tensor once.
    deployed_bytes: an estimate, with the indices of live weights.
    """

    macs: int
    dense_macs: int
    live_weights: int
    stored_weights: int
    deployed_bytes: int


@dataclass(frozen=True)
class CostRow:
    """The cost of a method's network at one sparsity, beside the paper's.

    method: its name.
    sparsity: the requested fraction of weights removed.
    command: that counted it; empty where it was not counted.
    counted: None where it was not counted.
    paper_macs: MACs; None where the paper has none.
    paper_stored: stored weights; None where the paper has none.
    multiple: MACs relative to the counted ones of the paper's reference row at this sparsity, where
        the paper states that multiple; else None.
    paper_multiple: the multiple that the paper states; None where it states none.
    formulas: what the paper prints in symbols, of MACs, size, and size on a GPU; None for nothing.
    note: why the paper's MACs differ, where that is known.
    link: path of the cost file, relative to the leaderboard's folder.
    uncounted: products that the MACs leave out, in words; None for none.
    """

    method: str
    sparsity: float
    command: tuple[str, ...] = ()
    counted: CountedCost | None = None
    paper_macs: float | None = None
    paper_stored: float | None = None
    multiple: float | None = None
    paper_multiple: float | None = None
    formulas: str | None = None
    note: str | None = None
    link: str | None = None
    uncounted: str | None = None


@dataclass(frozen=True)
class TrialRow:
    """One trial of a search: a method's settings, judged by validation images.

    method: its name, with the settings that were varied.
    file: of the method, which all its trials share.
    dataset, model, recipe, protocol, sparsity: of the trial's runs.
    precision: of its runs; empty without any.
    seeds: (seed, path of its record, relative to the leaderboard's folder) of every run.
    accuracy: on the validation images, percent, mean over seeds; None where none has one.
    std: sample standard deviation over seeds; None for fewer than two.
    collapsed, diverged: numbers of runs; the mean is over those that did not diverge.
    macs: MACs of one image, as a fraction of the dense network's; None where unknown.
    training: FLOPs of training, as a fraction of the dense network's; None where unknown.
    badge: how far the runs were checked.
    """

    method: str
    file: str
    dataset: str
    model: str
    recipe: str
    protocol: str
    sparsity: float
    precision: str = ""
    seeds: tuple[tuple[int, str], ...] = ()
    accuracy: float | None = None
    std: float | None = None
    collapsed: int = 0
    diverged: int = 0
    macs: float | None = None
    training: float | None = None
    badge: str = ""

    @property
    def setting(self) -> tuple[str, str, str, str, float]:
        """What trials that are compared with each other have in common."""
        return self.dataset, self.model, self.recipe, self.protocol, self.sparsity

    @property
    def link(self) -> str | None:
        """The record of the first run; None without any."""
        return self.seeds[0][1] if self.seeds else None


@dataclass(frozen=True)
class SpeedRow:
    """One measurement of `dstbench measure`, as medians, or one row of the paper's.

    method: its name.
    form: how the network was run ("dense", "masked", "deployed"); of a paper's row, its source.
    batch: images at a time.
    latency_ms: of a whole batch.
    images_per_s: throughput.
    machine: that it was measured on.
    model: None where unknown.
    dataset: that the network was trained on; None for a worst case, or where unknown.
    sparsity: None where unknown.
    link: path of the measurement's file, relative to the leaderboard's folder.
    speedup: over the fastest dense form of fp32 at this batch size; None where unknown.
    speedup_any: over the fastest dense form of any precision; None where only fp32 was measured.
    """

    method: str
    form: str
    batch: int
    latency_ms: float
    images_per_s: float
    machine: str
    model: str | None = None
    dataset: str | None = None
    sparsity: float | None = None
    link: str | None = None
    speedup: float | None = None
    speedup_any: float | None = None

    @property
    def consistent(self) -> bool:
        """Whether batch size over latency is the throughput, within 5 %."""
        return math.isclose(1000 * self.batch / self.latency_ms, self.images_per_s, rel_tol=0.05)
