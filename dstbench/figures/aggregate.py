"""Aggregates runs into the panels of a figure: median and range over seeds, one series a method."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median

from dstbench.figures.load_runs import RunData
from dstbench.figures.plot_data import Mark, Panel, Series
from dstbench.figures.styles import REFERENCE, families, in_display_order, style_of
from dstbench.sparsity import percent

MakeSeries = Callable[[str, list[RunData]], Series]  # method, its runs → its series


def series(
    method: str,
    values: Mapping[float, list[float]],
    marks: Iterable[Mark] = (),
) -> Series:
    """Return a method's series.

    values: x → one value for each seed that has one.
    """
    points = {x: seeds for x, seeds in sorted(values.items()) if seeds}
    return Series(
        label=method,
        style=style_of(method),
        xs=list(points),
        middle=[median(seeds) for seeds in points.values()],
        low=[min(seeds) for seeds in points.values()],
        high=[max(seeds) for seeds in points.values()],
        marks=sorted(set(marks), key=repr),
    )


def by_method(runs: Iterable[RunData], make: MakeSeries) -> list[Series]:
    """Return the series of one panel, in display order; empty ones are left out."""
    groups: dict[str, list[RunData]] = defaultdict(list)
    for run in runs:
        groups[run.method].append(run)
    every = [make(method, groups[method]) for method in in_display_order(groups)]
    return [one for one in every if one.xs or one.marks]


def by_sparsity(runs: Sequence[RunData], make: MakeSeries) -> list[Panel]:
    """Return a panel for every sparsity, with the dense runs in each of them."""
    dense = [run for run in runs if not run.sparsity]
    panels = []
    for sparsity in sorted({run.sparsity for run in runs if run.sparsity}):
        shown = dense + [run for run in runs if run.sparsity == sparsity]
        panels.append(Panel(f"{percent(sparsity)} sparsity", by_method(shown, make)))
    return panels or [Panel("dense", by_method(dense, make))]


def by_family(runs: Sequence[RunData], make: MakeSeries) -> list[Panel]:
    """Return by_sparsity's panels of the sparse runs, once for every family of methods."""
    panels = []
    for family in families(run.method for run in runs if run.sparsity):
        shown = [run for run in runs if run.method in family and run.sparsity]
        base = min(family, key=len)
        panels += [
            Panel(f"{base}: {panel.title}", panel.series)
            for panel in by_sparsity(shown, make)
            if len(panel.series) > 1
        ]
    return panels


def sparse_only(runs: Sequence[RunData], make: MakeSeries) -> list[Panel]:
    """Return by_sparsity's panels without dense runs, whose value is constant."""
    return by_sparsity([run for run in runs if run.sparsity], make)


def constant_merged(runs: Sequence[RunData], make: MakeSeries) -> list[Panel]:
    """Return sparse_only's panels with all constant series, which hide each other, as one line."""
    panels = sparse_only(runs, make)
    return [Panel(panel.title, _merge_constant(panel.series)) for panel in panels]


def _merge_constant(every: list[Series]) -> list[Series]:
    flat = [one for one in every if _equal(one.low, one.high)]
    longest = max(flat, key=lambda one: len(one.xs), default=None)
    constant = [
        one
        for one in flat
        if longest and _equal([*one.low, *longest.low], [*one.high, *longest.high])
    ]
    if longest is None or len(constant) < 2:
        return every
    merged = Series(
        label="constant: all" if len(constant) == len(every) else "constant: all others",
        style=REFERENCE,
        xs=longest.xs,
        middle=longest.middle,
        low=longest.low,
        high=longest.high,
        marks=sorted({mark for one in constant for mark in one.marks}, key=repr),
    )
    return [merged, *(one for one in every if one not in constant)]


def _equal(lows: Sequence[float], highs: Sequence[float]) -> bool:
    """Whether sparsities, in percent, differ by less than 1/1000 of the live fraction."""
    return max(highs) - min(lows) < 1e-3 * (100 - min(lows))
