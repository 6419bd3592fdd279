"""Plans where the planes of a program are stored while it runs; see `workspace`.

A plane's memory is free again as soon as its last reader is done, for planes of any shape, so that
all planes together stay in a processor's cache.
"""

import numpy as np

from ...compiled.lanes import LANES
from .free_memory import FreeMemory
from .memory_check import check_memory
from .program import NO_CLIP, Kind, Program
from .program_check import InvalidProgram
from .workspace import (
    CLIPPED,
    COLUMNS,
    GUARD,
    HEIGHT,
    IMAGE,
    IN_HEIGHT,
    IN_IMAGE,
    IN_ROW,
    IN_WIDTH,
    KIND,
    LENGTH,
    MASK,
    PADDED,
    ROW,
    SETTINGS,
    WIDTH,
    Mask,
    MemoryPlan,
)

MAX_FLOATS = 2**27  # of a workspace, 512 MiB; places are int32
_PAST_END = LANES // 2  # floats beyond its last one that a SAMPLE may write
MAX_WORK = 20_000_000_000  # terms × pixels of an image: ten seconds or so of compiled code


def plan_memory(program: Program, images: int) -> MemoryPlan:
    """Return the memory plan of a program for blocks of up to `images` images.

    Raises InvalidProgram for one that needs too much memory or time, or would leave its memory.
    """
    computed = slice(program.sources, None)
    plane, sizes = program.plane.astype(np.int64), program.sizes()
    pads, padded = _pads(program, plane, sizes)
    rows = sizes[:, 1] + pads
    strides = (sizes[:, 0] + pads) * rows
    if int(strides.max()) > MAX_FLOATS:  # then nothing below overflows
        raise InvalidProgram("a plane needs too much memory.")
    guard = _whole_vectors(pads * rows + pads)
    room = guard + _whole_vectors(images * strides + _PAST_END)
    geometry = np.stack([sizes[:, 0], sizes[:, 1], pads], 1)
    starts, size = _allocate(program, room)
    starts = starts + guard
    mask_starts: dict[tuple[int, ...], int] = {}
    distinct, first = np.unique(geometry[padded], axis=0, return_index=True)
    for key, floats in zip(distinct.tolist(), room[padded][first].tolist(), strict=True):
        mask_starts[tuple(key)] = size
        size += floats
    size += int(guard.max()) + LANES  # the last planes are read as far beyond their ends
    if size > MAX_FLOATS:
        raise InvalidProgram(f"it needs {4 * size / 2**30:.3g} GiB of memory for {images} images.")

    table = np.zeros((len(program.kind), COLUMNS), np.int64)
    read = np.arange(program.sources, len(sizes))  # an operation without terms reads itself
    has_terms = program.terms > 0
    read[has_terms] = plane[program.first_terms()[has_terms]]
    table[:, KIND] = program.kind
    table[:, [HEIGHT, WIDTH]] = sizes[computed]
    table[:, ROW] = rows[computed]
    table[:, IMAGE] = strides[computed]
    table[:, LENGTH] = np.where(padded, strides, (sizes[:, 0] - 1) * rows + sizes[:, 1])[computed]
    table[:, PADDED] = padded[computed]
    table[:, GUARD] = np.where(padded, guard, 0)[computed]
    table[:, CLIPPED] = (program.clip > NO_CLIP).any()
    table[:, MASK] = [mask_starts.get(tuple(key), 0) for key in geometry[computed].tolist()]
    table[:, [IN_HEIGHT, IN_WIDTH]] = sizes[read]
    table[:, IN_ROW] = rows[read]
    table[:, IN_IMAGE] = strides[read]
    table[:, SETTINGS:] = program.settings[program.setting][:, 2:]
    work = _work(table, program.terms)
    if not work <= MAX_WORK:
        raise InvalidProgram(
            f"an image takes {work:.2g} additions and comparisons; at most {MAX_WORK:.2g} are run."
        )
    shapes, shape = np.unique(table, axis=0, return_inverse=True)
    shifts = _shifts(program)
    plan = MemoryPlan(
        images=images,
        shapes=shapes,
        operations=np.stack([shape.reshape(-1), starts[computed], program.terms], 1).astype(
            np.int32
        ),
        numbers=np.stack([program.bias, np.where(program.relu, 0, NO_CLIP)], 1).astype(np.float32),
        offsets=(starts[plane] + shifts[:, 0] * rows[plane] + shifts[:, 1]).astype(np.int32),
        sources=np.stack([starts, rows, strides], 1)[: program.sources],
        logits=np.stack([starts, strides], 1)[len(sizes) - program.classes :],
        masks=[
            Mask(start, height, width, width + pad, (height + pad) * (width + pad))
            for (height, width, pad), start in mask_starts.items()
        ],
        size=size,
        work=int(work),
    )
    check_memory(plan, sizes[: program.sources])
    return plan


def _work(table: np.ndarray, terms: np.ndarray) -> float:
    """Return an upper bound of the pixels that all operations read and write for one image.

    table: (n, COLUMNS), of all operations; see `MemoryPlan.shapes`.
    terms: (n,), number of terms.
    """
    kind, t = table[:, KIND], table.T.astype(np.float64)  # as products may be beyond integers
    pixels = np.select(
        [kind == Kind.LINEAR, kind == Kind.SAMPLE, kind == Kind.MAXIMUM],
        [
            t[LENGTH] * terms,
            t[HEIGHT] * t[WIDTH],
            # By rows of windows or of pixels, whichever are more: numpy takes columns first.
            np.maximum(t[HEIGHT], t[IN_HEIGHT]) * t[WIDTH] * t[SETTINGS + 4] * t[SETTINGS + 5],
        ],
        t[IN_HEIGHT] * t[IN_WIDTH],
    )
    return float((pixels + t[LENGTH]).sum())


def _whole_vectors(numbers: np.ndarray) -> np.ndarray:
    return -(-numbers // LANES) * LANES


def _shifts(program: Program) -> np.ndarray:
    """Return rows and columns from a plane's first pixel to the first that a term reads.

    The result is (terms, 2).
    """
    sample = np.repeat(program.kind == Kind.SAMPLE, program.terms)
    origins = np.repeat(program.settings[program.setting][:, 2:4], program.terms, axis=0)
    return program.term_shifts() + sample[:, None] * origins


def _pads(program: Program, plane: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return columns and rows between neighbours, and whether they must be zeros: (planes,) each.

    plane: (terms,) int64, the plane that each term reads.
    sizes: (planes, 2), height and width.
    """
    owner = program.owners()
    result = owner + program.sources
    shifts = _shifts(program)
    linear = program.kind[owner] == Kind.LINEAR
    sample = program.kind[owner] == Kind.SAMPLE
    stride = program.settings[program.setting][:, 4:6][owner]
    # Distance outside the plane of the first and the last pixel that a term reads.
    last = shifts + (sizes[result] - 1) * np.where(sample[:, None], stride, 1) - (sizes[plane] - 1)
    outside = np.maximum(-shifts, last).max(1, initial=0).clip(0)
    reach = np.where(linear | sample, outside, 0)
    padded = np.zeros(len(sizes), bool)
    padded[plane[reach > 0]] = True
    leaders = _connected(len(sizes), plane[linear], result[linear])
    widest = np.zeros(len(sizes), np.int64)
    np.maximum.at(widest, leaders[plane], reach)
    return widest[leaders], padded


def _connected(count: int, ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return one representative of each member's connected component, (count,), by union-find.

    ones, others: (edges,), the two members of every edge.
    """
    leader = list(range(count))

    def find(member: int) -> int:
        while leader[member] != member:
            leader[member] = leader[leader[member]]
            member = leader[member]
        return member

    for one, other in zip(ones.tolist(), others.tolist(), strict=True):
        leader[find(one)] = find(other)
    return np.array([find(member) for member in range(count)])


def _allocate(program: Program, room: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the first index of each plane's memory, (planes,), and the size of all of it.

    room: (planes,), floats that each plane needs.
    """
    sources, operations, planes = program.sources, len(program.kind), len(room)
    starts = np.cumsum(room) - room  # the sources are kept
    last_reader = np.arange(planes) - sources  # an operation that nothing reads is free at once
    np.maximum.at(last_reader, program.plane.astype(np.int64), program.owners())
    last_reader[planes - program.classes :] = operations  # the logits are kept
    freed_after: list[list[int]] = [[] for _ in range(operations + 1)]
    for plane in range(sources, planes):
        freed_after[last_reader[plane]].append(plane)
    memory = FreeMemory(int(room[:sources].sum()))
    floats = room.tolist()
    for operation in range(operations):
        starts[sources + operation] = memory.take(floats[sources + operation])
        for plane in freed_after[operation]:
            memory.give_back(int(starts[plane]), floats[plane])
    return starts, memory.end
