"""The trials of a search, best first, judged by validation images.

Test accuracies are not shown: settings that were chosen by them would flatter their method.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from dstbench.boards.cells import Cell, Key, Result
from dstbench.boards.formatting import badge_text
from dstbench.boards.row_types import TrialRow
from dstbench.config.jobs import Job


def trial_rows(
    jobs: Iterable[Job], results: Mapping[Key, Sequence[Result]]
) -> tuple[TrialRow, ...]:
    """Return a row for every trial of a grid; of each setting, the best first.

    Rows with a diverged run follow those without, and trials that were not run come last. A trial
    that was run in two precisions has two rows.

    results: of the grid's runs, by cell.
    """
    found: dict[tuple[object, ...], list[Cell]] = {}
    for (method, column), own in results.items():
        setting = (column.dataset, column.model, column.recipe, column.protocol, column.sparsity)
        cell = Cell(Key(method, column), tuple(_on_validation(result) for result in own))
        found.setdefault((method, setting), []).append(cell)
    rows: list[TrialRow] = []
    for empty in dict.fromkeys(_empty_row(job) for job in jobs):
        cells = found.get((empty.method, empty.setting), ())
        rows += [_filled(empty, cell) for cell in cells] or [empty]
    settings = list(dict.fromkeys(row.setting for row in rows))
    return tuple(sorted(rows, key=lambda row: (settings.index(row.setting), *_rank(row))))


def trials_text(rows: Sequence[TrialRow]) -> str:
    """Return how many of each method's trials were run, such as "rigl 3 of 13, set 0 of 13"."""
    planned, run = _by_method(rows), _by_method([row for row in rows if row.seeds])
    return ", ".join(f"{file} {run[file]} of {count}" for file, count in planned.items())


def _by_method(rows: Sequence[TrialRow]) -> Counter[str]:
    """Return method file → its trials; one that was run in two precisions counts once."""
    return Counter(file for file, *_ in {(row.file, row.method, row.setting): None for row in rows})


def _on_validation(result: Result) -> Result:
    accuracy = None if result.diverged else result.validation
    return dataclasses.replace(result, accuracy=accuracy)


def _empty_row(job: Job) -> TrialRow:
    return TrialRow(
        method=job.method,
        file=job.file,
        dataset=job.dataset,
        model=job.model,
        recipe=job.recipe,
        protocol=job.protocol,
        sparsity=job.sparsity or 0.0,
    )


def _filled(empty: TrialRow, cell: Cell) -> TrialRow:
    return dataclasses.replace(
        empty,
        precision=cell.key.column.precision,
        seeds=tuple((result.seed, result.link) for result in cell.results),
        accuracy=cell.mean,
        std=cell.std,
        collapsed=cell.collapsed,
        diverged=cell.diverged,
        macs=cell.macs,
        training=cell.training,
        badge=badge_text(cell),
    )


def _rank(row: TrialRow) -> tuple[bool, bool, float]:
    return not row.seeds, row.diverged > 0 or row.accuracy is None, -(row.accuracy or 0.0)
