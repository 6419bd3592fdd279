"""What is drawn of a compiled network: its channels as dots in columns, its weights as lines.

A dot is a plane that is not just another one seen differently: samples of a plane, and copies of it
with a bias, are drawn as that plane; a mean that only becomes a logit is drawn as the logit.
Constant planes are not drawn. Columns go from the image to the logits; a column has planes of one
size, and every line leads to a later column.
"""

from dataclasses import dataclass

import numpy as np

from dstbench.deployment.runtime.program import Kind, Program

_SWEEPS = 12  # over all columns, of ordering dots by the mean of their neighbours


@dataclass(frozen=True)
class Drawing:
    """Dots and lines, numbered; the dots are in the order of their planes.

    plane: (dots,) int64, of the program.
    column: (dots,) int64, 0 for the image, the last one for the logits.
    place: (dots,) float64 in (0, 1), where in its column.
    start, end: (lines,) int64, dots.
    weight: (lines,) float64, the stored weights of a line, summed; 0 where `number` is 0.
    size: (lines,) float64, sum of their absolute values.
    number: (lines,) int64, of stored weights; 0 for a plane that is passed on as it is.
    """

    plane: np.ndarray
    column: np.ndarray
    place: np.ndarray
    start: np.ndarray
    end: np.ndarray
    weight: np.ndarray
    size: np.ndarray
    number: np.ndarray


def drawing(program: Program) -> Drawing:
    """Return the drawing of a program."""
    plane, dot_of = _dots(program)
    owner = program.sources + program.owners()
    start, end = dot_of[program.plane.astype(np.int64)], dot_of[owner]
    # Planes that are drawn as one have no line between them, nor has a copy to what it is not.
    shown = (start >= 0) & (start != end)
    pairs, line = np.unique(np.stack([start[shown], end[shown]], 1), axis=0, return_inverse=True)
    line = line.reshape(-1)
    stored = (program.weight != 0)[shown]
    factors = np.where(stored, program.coefficients()[shown].astype(np.float64), 0)
    start, end = pairs.T
    column = _columns(program, plane, start, end)
    return Drawing(
        plane=plane,
        column=column,
        place=_places(column, start, end),
        start=start,
        end=end,
        weight=np.bincount(line, factors, len(pairs)),
        size=np.bincount(line, np.abs(factors), len(pairs)),
        number=np.bincount(line, stored, len(pairs)).astype(np.int64),
    )


def _dots(program: Program) -> tuple[np.ndarray, np.ndarray]:
    """Return the planes that are dots, and the dot of each plane: -1 for constants."""
    first = program.first_terms()
    channels, sources = program.image_shape[0], program.sources
    shown_as = np.arange(sources + len(program.kind))
    shown_as[channels:sources] = -1
    for number in range(len(program.kind) - program.classes):
        copies = program.terms[number] == 1 and program.weight[first[number]] == 0
        if copies and program.kind[number] in (Kind.LINEAR, Kind.SAMPLE):
            shown_as[sources + number] = shown_as[program.plane[first[number]]]
    readers = np.bincount(program.plane.astype(np.int64), minlength=len(shown_as))
    for number in range(len(program.kind) - program.classes, len(program.kind)):
        if program.terms[number] == 1 and program.weight[first[number]] == 0:
            mean = int(program.plane[first[number]])
            pooled = mean >= sources and program.kind[mean - sources] == Kind.MEAN
            if pooled and readers[mean] == 1:
                shown_as[mean] = sources + number
    plane = np.flatnonzero(shown_as == np.arange(len(shown_as)))
    dot = np.full(len(shown_as), -1)
    dot[plane] = np.arange(len(plane))
    return plane, np.where(shown_as < 0, -1, dot[shown_as])


def _columns(program: Program, plane: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return each dot's column: after those that it reads, and after all columns of larger planes.

    The logits share the last one.
    """
    area = program.sizes()[plane].prod(1)
    area[-program.classes :] = 0
    area[: program.image_shape[0]] = np.iinfo(np.int64).max
    reads: list[list[int]] = [[] for _ in plane]
    for one, other in zip(start.tolist(), end.tolist(), strict=True):
        reads[other].append(one)
        area[other] = min(area[other], area[one])  # a padded plane stays with what it reads
    column = np.zeros(len(plane), np.int64)
    first = 0
    for stage in -np.unique(-area):
        dots = np.flatnonzero(area == stage)
        for dot in dots.tolist():
            column[dot] = max([first, *(column[read] + 1 for read in reads[dot])])
        first = int(column[dots].max()) + 1
    return column


def _places(column: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return each dot's place in its column, near those of its neighbours.

    The image's channels and the logits keep their order.
    """
    columns = [np.flatnonzero(column == number) for number in range(int(column.max()) + 1)]
    place = np.zeros(len(column))
    for dots in columns:
        place[dots] = _evenly(len(dots))
    fixed = {0, int(column[-1])}
    for sweep in range(_SWEEPS):
        one, other = (end, start) if sweep % 2 == 0 else (start, end)
        order = range(len(columns)) if sweep % 2 == 0 else reversed(range(len(columns)))
        for number in order:
            dots = columns[number]
            if number in fixed:
                continue
            near = np.isin(one, dots)
            lines = np.bincount(one[near], minlength=len(column))[dots]
            total = np.bincount(one[near], place[other[near]], len(column))[dots]
            wanted = np.where(lines > 0, total / np.maximum(lines, 1), place[dots])
            place[dots[np.argsort(wanted, kind="stable")]] = _evenly(len(dots))
    return place


def _evenly(count: int) -> np.ndarray:
    return (np.arange(count) + 0.5) / count
