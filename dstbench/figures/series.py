"""What figures are made of, as plain data: over seeds the median, the range, and marks.

A Plot says everything that is drawn, so that two drawings can be compared by their data instead of
their pixels. Standard library only.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from dstbench.figures.run_data import RunData
from dstbench.figures.styles import families, in_order, look
from dstbench.sparsity import percent

Mark = tuple[str, float, float | None]  # what, x, y; None is the foot of the axes


@dataclass(frozen=True)
class Series:
    """One method: at each x the median over seeds and their range, and what is to be marked."""

    label: str
    look: dict[str, str]
    xs: list[float]
    middle: list[float]
    low: list[float]
    high: list[float]
    marks: list[Mark]


@dataclass(frozen=True)
class Panel:
    title: str
    series: list[Series]


@dataclass(frozen=True)
class Plot:
    """A figure. axes: how they are scaled, see paint.py."""

    name: str
    title: str
    caption: str
    xlabel: str
    ylabel: str
    axes: dict[str, Any]
    panels: list[Panel]

    @property
    def sha256(self) -> str:
        """Of everything that is drawn."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


Draft = Callable[[str, list[RunData]], Series]  # method, its runs → what is shown of it


def series(
    method: str,
    values: Mapping[Any, list[float]],
    marks: Iterable[Mark] = (),
) -> Series:
    """A method's series. values: x → one value a seed, as many as there are."""
    points = {x: seeds for x, seeds in sorted(values.items()) if seeds}
    return Series(
        label=method,
        look=asdict(look(method)),
        xs=list(points),
        middle=[median(seeds) for seeds in points.values()],
        low=[min(seeds) for seeds in points.values()],
        high=[max(seeds) for seeds in points.values()],
        marks=sorted(set(marks), key=repr),
    )


def by_method(runs: Iterable[RunData], one: Draft) -> list[Series]:
    """The series of a panel, in the order of methods."""
    groups: dict[str, list[RunData]] = defaultdict(list)
    for run in runs:
        groups[run.method].append(run)
    every = [one(method, groups[method]) for method in in_order(groups)]
    return [drafted for drafted in every if drafted.xs or drafted.marks]


def by_sparsity(runs: Sequence[RunData], one: Draft) -> list[Panel]:
    """A panel for every sparsity, with the dense runs in each of them."""
    dense = [run for run in runs if not run.sparsity]
    panels = []
    for sparsity in sorted({run.sparsity for run in runs if run.sparsity}):
        shown = dense + [run for run in runs if run.sparsity == sparsity]
        panels.append(Panel(f"{percent(sparsity)} sparsity", by_method(shown, one)))
    return panels or [Panel("dense", by_method(dense, one))]


def by_family(runs: Sequence[RunData], one: Draft) -> list[Panel]:
    """The same, once for every method that others add to."""
    panels = []
    for family in families(run.method for run in runs if run.sparsity):
        shown = [run for run in runs if run.method in family and run.sparsity]
        base = min(family, key=len)
        panels += [
            Panel(f"{base}: {panel.title}", panel.series)
            for panel in by_sparsity(shown, one)
            if len(panel.series) > 1
        ]
    return panels


def sparse_only(runs: Sequence[RunData], one: Draft) -> list[Panel]:
    """The same as by_sparsity, for what is no news about a dense network."""
    return by_sparsity([run for run in runs if run.sparsity], one)


def joined(runs: Sequence[RunData], one: Draft) -> list[Panel]:
    """The same as sparse_only; series that never change, and hide each other, are one line."""
    return [Panel(panel.title, _join(panel.series)) for panel in sparse_only(runs, one)]


def _join(every: list[Series]) -> list[Series]:
    flat = [one for one in every if _alike(one.low, one.high)]
    longest = max(flat, key=lambda one: len(one.xs), default=None)
    still = [
        one
        for one in flat
        if longest and _alike([*one.low, *longest.low], [*one.high, *longest.high])
    ]
    if longest is None or len(still) < 2:
        return every
    held = Series(
        label="constant: all" if len(still) == len(every) else "constant: all others",
        look=asdict(look("Dense")) | {"line": "-"},
        xs=longest.xs,
        middle=longest.middle,
        low=longest.low,
        high=longest.high,
        marks=sorted({mark for one in still for mark in one.marks}, key=repr),
    )
    return [held, *(one for one in every if one not in still)]


def _alike(lows: Sequence[float], highs: Sequence[float]) -> bool:
    """Whether sparsities, in percent, are one line: the same to a thousandth of what is left."""
    return max(highs) - min(lows) < 1e-3 * (100 - min(lows))
