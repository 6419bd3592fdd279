"""The planes of a program as a graph: what each is computed from, and whose memory it may take."""

from dataclasses import dataclass

import numpy as np

from dstbench.deployment.runtime.program import Kind, Program


@dataclass(frozen=True)
class PlaneGraph:
    """The planes that the logits need; lists have one entry for every plane of the program.

    planes: their numbers, ascending. Planes of the image and constant planes are among them: each
        is copied into memory by a step of its own, as late as its first reader allows.
    pixels: of each plane.
    inputs: the distinct planes that each is computed from.
    readers: the planes that are computed from each.
    reusable: the inputs whose memory a plane may take while it is computed, if nothing else reads
        them afterwards: a sum is computed row by row, so it may replace a plane of which it has
        read every row that it overwrites.
    kept: the planes of the logits, which stay until the end.
    """

    planes: tuple[int, ...]
    pixels: list[int]
    inputs: list[tuple[int, ...]]
    readers: list[tuple[int, ...]]
    reusable: list[tuple[int, ...]]
    kept: frozenset[int]


def plane_graph(program: Program) -> PlaneGraph:
    """Return the graph of a program."""
    count = program.sources + len(program.kind)
    inputs: list[tuple[int, ...]] = [()] * count
    reusable: list[tuple[int, ...]] = [()] * count
    readers: list[list[int]] = [[] for _ in range(count)]
    rows = program.term_shifts()[:, 0]
    firsts, counts = program.first_terms().tolist(), program.terms.tolist()
    for number, (first, count_read) in enumerate(zip(firsts, counts, strict=True)):
        end = first + count_read
        read = program.plane[first:end].astype(np.int64)
        plane = program.sources + number
        inputs[plane] = tuple(np.unique(read).tolist())
        if program.kind[number] == Kind.LINEAR:
            above = set(read[rows[first:end] < 0].tolist())
            reusable[plane] = tuple(p for p in inputs[plane] if p not in above)
        for source in inputs[plane]:
            readers[source].append(plane)
    kept = frozenset(range(count - program.classes, count))
    needed = [False] * count
    for plane in reversed(range(count)):
        needed[plane] = plane in kept or any(needed[reader] for reader in readers[plane])
    planes = tuple(plane for plane in range(count) if needed[plane])
    return PlaneGraph(
        planes=planes,
        pixels=program.sizes().prod(1).tolist(),
        inputs=inputs,
        readers=[tuple(r for r in those if needed[r]) for those in readers],
        reusable=reusable,
        kept=kept,
    )
