"""Where the planes of a program lie in memory while it runs. numpy only.

The planes of a block of images lie in strips: image after image, row after row. Planes that are
added to each other have rows of one length; where one of them is read shifted, rows are followed,
and images surrounded, by zeros that neighbours share, so that a shift is one contiguous slice of a
strip. A plane's place is used again as soon as its last reader is done, the last one freed first,
while it is in the cache.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from dstbench.deploy.runtime.program import LANES, NO_CLIP, Kind, Program

# Columns of `Layout.shapes`: kind of operation; size, strides and length of its result, and whether
# zeros must surround it; sizes and strides of what it reads; numbers only its kind understands.
KIND, HEIGHT, WIDTH, ROW, IMAGE, LENGTH, CLEAN, MASK = range(8)
IN_HEIGHT, IN_WIDTH, IN_ROW, IN_IMAGE = range(8, 12)
SETTINGS, COLUMNS = 12, 18


@dataclass(frozen=True)
class Layout:
    """A program laid out for blocks of up to `images` images. Places are counted in floats.

    shapes: int64 (s, COLUMNS), what many operations have in common.
    operations: int32 (n, 3): row of `shapes`, place of the result, number of terms.
    numbers: float32 (n, 2): bias, and the floor that a ReLU is.
    offsets: int32 (terms,): place of the first number that a term reads.
    sources: int64 (p, 3): place, row and image stride of the planes that are there before.
    logits: int64 (classes, 2): place and image stride.
    masks: (place, height, width, row, image) of strips whose numbers say where a plane is.
    """

    images: int
    shapes: np.ndarray
    operations: np.ndarray
    numbers: np.ndarray
    offsets: np.ndarray
    sources: np.ndarray
    logits: np.ndarray
    masks: list[tuple[int, int, int, int, int]]
    size: int

    def workspace(self, constants: list[np.ndarray]) -> np.ndarray:
        """Fresh memory for one thread, the constant planes and masks in it: float32, aligned."""
        memory = np.zeros(self.size + LANES, np.float32)
        skip = -(memory.ctypes.data // 4) % LANES
        work = memory[skip : skip + self.size]
        first = len(self.sources) - len(constants)
        for plane, (place, row, image) in zip(constants, self.sources[first:], strict=True):
            self._fill(work, place, row, image, plane)
        everything = np.uint32(0xFFFFFFFF).view(np.float32)
        for place, height, width, row, image in self.masks:
            self._fill(work, place, row, image, np.full((height, width), everything))
        return work

    def _fill(self, work: np.ndarray, place: int, row: int, image: int, plane: np.ndarray) -> None:
        for first in range(place, place + self.images * image, image):
            for r, numbers in enumerate(plane):
                at = first + r * row
                work[at : at + len(numbers)] = numbers


def lay_out(program: Program, images: int) -> Layout:
    """The layout of a program for blocks of up to `images` images."""
    first, made = np.cumsum(program.terms) - program.terms, slice(program.sources, None)
    plane, sizes = program.plane.astype(np.int64), program.sizes()
    pads, clean = _pads(program, first, plane, sizes)
    rows = sizes[:, 1] + pads
    strides = (sizes[:, 0] + pads) * rows
    guard = _whole(pads * rows + pads)
    room = guard + _whole(images * strides + pads * rows + pads) + LANES
    geometry = np.stack([sizes[:, 0], sizes[:, 1], pads], 1)
    places, size = _places(program, room, geometry)
    starts = places + guard
    masks: dict[tuple[int, ...], int] = {}
    for key in map(tuple, np.unique(geometry[clean], axis=0).tolist()):
        masks[key] = size
        size += int(room[(geometry == key).all(1)][0])
    mask_of = np.array([masks.get(tuple(key), 0) for key in geometry[made].tolist()])

    given = np.arange(program.sources, len(sizes))  # an operation without terms reads itself
    reads = program.terms > 0
    given[reads] = plane[first[reads]]
    table = np.zeros((len(given), COLUMNS), np.int64)
    length = np.where(clean, strides, (sizes[:, 0] - 1) * rows + sizes[:, 1])
    for column, values in (
        (KIND, program.kind), (HEIGHT, sizes[made, 0]), (WIDTH, sizes[made, 1]),
        (ROW, rows[made]), (IMAGE, strides[made]), (LENGTH, length[made]), (CLEAN, clean[made]),
        (MASK, mask_of), (IN_HEIGHT, sizes[given, 0]), (IN_WIDTH, sizes[given, 1]),
        (IN_ROW, rows[given]), (IN_IMAGE, strides[given]),
    ):  # fmt: skip
        table[:, column] = values
    table[:, SETTINGS:] = program.settings[program.setting][:, 2:]
    shapes, shape = np.unique(table, axis=0, return_inverse=True)
    shifts = _shifts(program)
    return Layout(
        images=images,
        shapes=shapes,
        operations=np.stack([shape.reshape(-1), starts[made], program.terms], 1).astype(np.int32),
        numbers=np.stack([program.bias, np.where(program.relu, 0, NO_CLIP)], 1).astype(np.float32),
        offsets=(starts[plane] + shifts[:, 0] * rows[plane] + shifts[:, 1]).astype(np.int32),
        sources=np.stack([starts, rows, strides], 1)[: program.sources],
        logits=np.stack([starts, strides], 1)[len(sizes) - program.classes :],
        masks=[(at, h, w, w + p, (h + p) * (w + p)) for (h, w, p), at in masks.items()],
        size=size + LANES,
    )


def _whole(numbers: np.ndarray) -> np.ndarray:
    return -(-numbers // LANES) * LANES


def _shifts(program: Program) -> np.ndarray:
    """(terms, 2) rows and columns from a plane's first number to the first that a term reads."""
    shifts = program.shifts[program.shift].astype(np.int64).reshape(-1, 2)
    sample = np.repeat(program.kind == Kind.SAMPLE, program.terms)
    origins = np.repeat(program.settings[program.setting][:, 2:4], program.terms, axis=0)
    return shifts + sample[:, None] * origins


def _pads(
    program: Program, first: np.ndarray, plane: np.ndarray, sizes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(planes,) columns and rows of zeros between neighbours, and whether they must be zeros."""
    owner = np.repeat(np.arange(len(program.kind)), program.terms)
    made = owner + program.sources
    shifts = _shifts(program)
    linear = program.kind[owner] == Kind.LINEAR
    sample = program.kind[owner] == Kind.SAMPLE
    stride = program.settings[program.setting][:, 4:6][owner]
    # How far from the plane the first and the last number lie that a term reads.
    last = shifts + (sizes[made] - 1) * np.where(sample[:, None], stride, 1) - (sizes[plane] - 1)
    outside = np.maximum(-shifts, last).max(1, initial=0).clip(0)
    reach = np.where(linear | sample, outside, 0)
    clean = np.zeros(len(sizes), bool)
    clean[plane[reach > 0]] = True
    leaders = _joined(len(sizes), plane[linear], made[linear])
    widest = np.zeros(len(sizes), np.int64)
    np.maximum.at(widest, leaders[plane], reach)
    return widest[leaders], clean


def _joined(count: int, ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(count,) one member for all that are joined by pairs, directly or through others."""
    leader = list(range(count))

    def find(member: int) -> int:
        while leader[member] != member:
            leader[member] = leader[leader[member]]
            member = leader[member]
        return member

    for one, other in zip(ones.tolist(), others.tolist(), strict=True):
        leader[find(one)] = find(other)
    return np.array([find(member) for member in range(count)])


def _places(program: Program, room: np.ndarray, geometry: np.ndarray) -> tuple[np.ndarray, int]:
    """(planes,) where each plane's room begins, and the size of it all.

    Only planes of the same geometry follow each other in a place, so that the zeros in front of
    the first row are never written.
    """
    sources, n, count = program.sources, len(program.kind), len(room)
    places = np.cumsum(room) - room
    top = int(room[:sources].sum())
    last = np.full(count, -1, np.int64)
    np.maximum.at(last, program.plane.astype(np.int64), np.repeat(np.arange(n), program.terms))
    last[count - program.classes :] = n  # the logits stay
    dying: dict[int, list[int]] = defaultdict(list)
    for plane in range(sources, count):
        dying[int(last[plane])].append(plane)
    kinds = [tuple(key) for key in geometry.tolist()]
    free: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number in range(n):
        plane = sources + number
        places_free = free[kinds[plane]]
        if places_free:
            places[plane] = places_free.pop()
        else:
            places[plane] = top
            top += int(room[plane])
        for dead in dying[number]:
            free[kinds[dead]].append(int(places[dead]))
    return places, top
