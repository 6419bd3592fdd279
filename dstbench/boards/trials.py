"""The trials of a search, best first, judged by validation images.

Test accuracies are not shown: settings that were chosen by them would flatter their method.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from dstbench.boards.cells import Cell, Key, Result
from dstbench.boards.row_types import TrialRow
from dstbench.config.jobs import Job


def trial_rows(
    jobs: Iterable[Job], results: Mapping[Key, Sequence[Result]]
) -> tuple[TrialRow, ...]:
    """Return a row for every trial of a grid, those without an accuracy last.

    A trial that was run in two precisions has two rows.

    results: of the grid's runs, by cell.
    """
    found: dict[tuple[str, ...], list[Cell]] = {}
    for key, own in results.items():
        column = key.column
        names = (key.method, column.dataset, column.model, column.recipe, column.protocol)
        cells = found.setdefault((*names, repr(column.sparsity)), [])
        cells.append(Cell(key, tuple(_on_validation(result) for result in own)))
    rows = []
    for settings, job in {_settings(job): job for job in jobs}.items():
        rows += [_row(job, cell) for cell in found.get(settings, ())] or [_empty_row(job)]
    return tuple(sorted(rows, key=lambda row: (row.accuracy is None, -(row.accuracy or 0.0))))


def _settings(job: Job) -> tuple[str, ...]:
    """Return what distinguishes the trials of a grid: all but seed and precision."""
    names = (job.method, job.dataset, job.model, job.recipe, job.protocol)
    return (*names, repr(float(job.sparsity or 0.0)))


def _on_validation(result: Result) -> Result:
    accuracy = None if result.diverged else result.validation
    return dataclasses.replace(result, accuracy=accuracy)


def _empty_row(job: Job) -> TrialRow:
    return TrialRow(job.method, job.file, job.recipe, job.model, job.sparsity or 0.0)


def _row(job: Job, cell: Cell) -> TrialRow:
    return dataclasses.replace(
        _empty_row(job),
        precision=cell.key.column.precision,
        runs=len(cell.results),
        accuracy=cell.mean,
        std=cell.std,
        state=_state(cell),
        macs=cell.macs,
        training=cell.training,
        link=cell.results[0].link,
    )


def _state(cell: Cell) -> str:
    """Return how many runs collapsed or diverged; without a number if all did."""
    total = len(cell.results)
    return ", ".join(
        name if count == total else f"{name} {count} of {total}"
        for name, count in (("collapsed", cell.collapsed), ("diverged", cell.diverged))
        if count
    )
