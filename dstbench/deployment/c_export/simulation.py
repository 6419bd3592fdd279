"""Runs a program on a batch of images in numpy, plane by plane, in one of several arithmetics."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from dstbench.deployment.runtime.program import Kind, Program


class Arithmetic(Protocol):
    """How numbers are computed. Planes are (images, height, width); `number` is an operation's."""

    def source(self, plane: int) -> np.ndarray:
        """Return a plane of the image, or a constant one."""
        ...

    def zero(self, plane: int) -> float:
        """Return the number that stands for zero in a plane."""
        ...

    def linear(self, number: int, terms: range, read: list[np.ndarray]) -> np.ndarray:
        """Return the sum of terms.

        terms: their numbers.
        read: the plane of each, shifted.
        """
        ...

    def mean(self, number: int, term: int, read: np.ndarray) -> np.ndarray: ...

    def lowest(self) -> float:
        """Return a number that is below every pixel."""
        ...


def simulate(
    program: Program, order: Sequence[int], arithmetic: Arithmetic
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each plane with its number, in order. Planes without further readers are dropped.

    order: of the planes; each comes after those that it reads.
    """
    terms = _ranges(program)
    shifts = program.term_shifts()
    plane_of = program.plane.astype(np.int64).tolist()
    known: dict[int, np.ndarray] = {}
    last = {}
    for step, plane in enumerate(order):
        last[plane] = step
        if (number := plane - program.sources) >= 0:
            for term in terms[number]:
                last[plane_of[term]] = step
    dropped: list[list[int]] = [[] for _ in order]
    for plane, step in last.items():
        dropped[step].append(plane)
    for step, plane in enumerate(order):
        number = plane - program.sources
        if number < 0:
            known[plane] = arithmetic.source(plane)
        else:
            own = terms[number]
            sources = [plane_of[term] for term in own]
            known[plane] = _computed(program, number, own, sources, shifts, known, arithmetic)
        yield plane, known[plane]
        for unused in dropped[step]:
            known.pop(unused)


def _ranges(program: Program) -> list[range]:
    """Return the numbers of each operation's terms."""
    firsts, counts = program.first_terms().tolist(), program.terms.tolist()
    return [range(first, first + count) for first, count in zip(firsts, counts, strict=True)]


def _computed(
    program: Program,
    number: int,
    terms: range,
    sources: list[int],
    shifts: np.ndarray,
    known: dict[int, np.ndarray],
    arithmetic: Arithmetic,
) -> np.ndarray:
    kind = program.kind[number]
    settings = program.settings[int(program.setting[number])].astype(np.int64)
    size, (first, stride, window) = settings[:2], settings[2:].reshape(3, 2)
    if kind == Kind.LINEAR:
        read = [
            _sampled(known[source], shifts[term], (1, 1), size, arithmetic.zero(source))
            for source, term in zip(sources, terms, strict=True)
        ]
        return arithmetic.linear(number, terms, read)
    (source,) = sources
    plane = known[source]
    if kind == Kind.SAMPLE:
        return _sampled(plane, first, stride, size, arithmetic.zero(source))
    if kind == Kind.MEAN:
        return arithmetic.mean(number, terms[0], plane)
    lowest = arithmetic.lowest()
    offsets = [(r, c) for r in range(window[0]) for c in range(window[1])]
    pixels = [_sampled(plane, np.array(o) - first, stride, size, lowest) for o in offsets]
    return np.maximum.reduce(pixels)


def _sampled(
    plane: np.ndarray,
    first: Sequence[int],
    stride: Sequence[int],
    size: Sequence[int],
    outside: float,
) -> np.ndarray:
    """Return pixels first + r · stride of a plane, r < size; `outside` where there is none."""
    rows, columns = (np.arange(size[d]) * stride[d] + first[d] for d in (0, 1))
    inside = [(at >= 0) & (at < plane.shape[d]) for d, at in ((1, rows), (2, columns))]
    result = np.full((len(plane), *size), outside, plane.dtype)
    if inside[0].any() and inside[1].any():
        read = plane[:, rows[inside[0]]][:, :, columns[inside[1]]]
        result[:, np.flatnonzero(inside[0])[:, None], np.flatnonzero(inside[1])] = read
    return result
