"""Which rows of a plane are alike, and which columns: only one of each is stored and computed.

With dynamic activations, a channel that no live weight connects to the image has other values for
each image, but they are alike at all pixels but those near the edges, where a convolution has seen
padding. An *axis* says which rows (or columns) of a plane are alike; pixels of such rows and
columns are one *cell*. A channel that depends on pixels of the image has a cell for each pixel.
"""

from collections.abc import Callable, Iterable
from functools import cache

import numpy as np

from dstbench.native.tables import AXIS, X_CELL, X_FIRST, X_REPEATS
from dstbench.native.wiring import Array, Taps, Wiring, taps_by_convolution


class Axes:
    """All axes of a network, by number: the cell of each pixel, cells in order of first pixels."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, ...], int] = {}
        self._cells: list[tuple[int, ...]] = []
        self.seen, self.joined = cache(self._seen), cache(self._joined)

    def whole(self, size: int) -> int:
        """Return the axis of pixels that are all different."""
        return self._number(range(size))

    def alike(self, size: int) -> int:
        """Return the axis of pixels that are all alike."""
        return self._number([0] * size)

    def cells(self) -> Array:
        """Return the number of cells of each axis."""
        return np.array([max(cells) + 1 for cells in self._cells])

    def table(self) -> Array:
        """Return the table for the kernels: (axes, AXIS, pixels)."""
        found = np.zeros((len(self._cells), AXIS, max(map(len, self._cells))), np.int64)
        for axis, cells in zip(found, self._cells, strict=True):
            _, first, repeats = np.unique(cells, return_index=True, return_counts=True)
            axis[X_CELL, : len(cells)] = cells
            axis[X_FIRST, : len(first)] = first
            axis[X_REPEATS, : len(first)] = repeats
        return found

    def _seen(self, axis: int, size: int, step: int, shift: int) -> int:
        """Return the axis of `size` pixels, of which y sees pixel y · step + shift of an axis."""
        cells = self._cells[axis]
        places = (y * step + shift for y in range(size))
        return self._number(cells[p] if 0 <= p < len(cells) else -1 for p in places)

    def _joined(self, a: int, b: int) -> int:
        """Return the axis of pixels that are alike on both axes."""
        return self._number(zip(self._cells[a], self._cells[b], strict=True))

    def _number(self, labels: Iterable[object]) -> int:
        """Return the number of the axis whose pixels with equal labels are alike."""
        cell_of: dict[object, int] = {}
        cells = tuple(cell_of.setdefault(label, len(cell_of)) for label in labels)
        if cells not in self._numbers:
            self._numbers[cells] = len(self._cells)
            self._cells.append(cells)
        return self._numbers[cells]


def axes_of(wiring: Wiring, taps: Taps) -> tuple[Axes, Array, Array]:
    """Return all axes, and the numbers of each channel's two: of rows, and of columns."""
    axes = Axes()
    of_rows = _each(axes.whole, wiring.height)
    of_columns = _each(axes.whole, wiring.width)
    if not wiring.dynamic:  # then a channel is the same for all images, or depends on their pixels
        return axes, of_rows, of_columns
    group = _groups(wiring)
    alike = ~_whole(wiring, taps, group)
    of_rows[alike] = _each(axes.alike, wiring.height[alike])
    of_columns[alike] = _each(axes.alike, wiring.width[alike])
    rows, columns = of_rows.tolist(), of_columns.tolist()
    own = group[wiring.channel_of[taps.filter]]
    chosen = taps[alike[own]]
    looks = list(  # of each tap: group, group read, (step, shift) in rows, and in columns
        zip(
            own[alike[own]].tolist(),
            group[chosen.channel].tolist(),
            zip(wiring.step_row[chosen.filter].tolist(), chosen.row.tolist(), strict=True),
            zip(wiring.step_column[chosen.filter].tolist(), chosen.column.tolist(), strict=True),
            strict=True,
        )
    )
    height, width = wiring.height.tolist(), wiring.width.tolist()
    changed = True
    while changed:  # a group's channels may read each other, so once is not enough
        changed = False
        for n, source, row, column in looks:
            found = (
                axes.joined(rows[n], axes.seen(rows[source], height[n], *row)),
                axes.joined(columns[n], axes.seen(columns[source], width[n], *column)),
            )
            if found != (rows[n], columns[n]):
                rows[n], columns[n] = found
                changed = True
    return axes, np.array(rows)[group], np.array(columns)[group]


def _each(axis: Callable[[int], int], sizes: Array) -> Array:
    """Return axis(size) of each size."""
    found, place = np.unique(sizes, return_inverse=True)
    return np.array([axis(size) for size in found.tolist()], np.int64)[place]


def _groups(wiring: Wiring) -> Array:
    """Return the first channel of those that each one shares its axes with.

    The gradients of channels that are linked share one plane, so they need the same cells; so do
    those of a dynamic activation and of what it reads.
    """
    group = np.arange(len(wiring.node_of))
    for a in range(len(wiring.layers.nodes)):
        own = wiring.of_node(a)
        for source in (wiring.link[own], wiring.dynamic_of[own]):
            group[own] = np.where(source >= 0, group[source], group[own])
    return group


def _whole(wiring: Wiring, taps: Taps, group: Array) -> Array:
    """Return which channels have a cell for each pixel.

    They are the groups that live weights connect to pixels of the image, and the two sides of a
    maximum, whose windows are taken pixel by pixel.
    """
    whole = np.zeros(len(group), bool)
    whole[wiring.of_node(0)] = True
    pooled = np.flatnonzero(wiring.maximum_of >= 0)
    whole[group[pooled]] = whole[group[wiring.maximum_of[pooled]]] = True
    before = -1
    while whole.sum() > before:
        before = whole.sum()
        for part in taps_by_convolution(wiring, taps):
            reached = taps.filter[part][whole[group[taps.channel[part]]]]
            whole[group[wiring.channel_of[reached]]] = True
    return whole[group]
