"""Lines: what a source shows along one axis of the plane that a task writes, cell by cell.

Of each cell, it is a row or column of the source's base plane, OUTSIDE (it adds nothing) or BORDER
(its base plane ends there, and it is a constant, as of a view that is moved).
"""

from collections import namedtuple
from typing import Any

from numba import njit

from dstbench.native.tables import X_CELL, X_FIRST

OUTSIDE, BORDER = -1, -2

# rows, columns: (sources, cells) what each source shows along an axis. row_axis, column_axis: of
# each source, the axes of its base plane. base: where that is. width: its columns.
# inside, border: rows of its parameters. row_runs, column_runs: (first, count) of equal lines.
# row_readers, column_readers: (lines, cells) of one reader.
Lines = namedtuple(
    "Lines",
    "rows columns row_axis column_axis base width inside border row_runs column_runs row_readers "
    "column_readers",
)


@njit
def see_through_tap(
    line: Any,
    axes: Any,
    axis: int,
    count: int,
    step: int,
    shift: int,
    size: int,
    view_step: int,
    view: int,
    base: int,
    base_axis: int,
) -> None:
    """Write what a tap sees along an axis.

    axis, count: of the result, and its cells; pixel y is at y · step + shift of the channel that
        is read.
    size: pixels of that channel; pixel p is at p · view_step + view of its base plane.
    base, base_axis: pixels and axis of the base plane.
    """
    for cell in range(count):
        pixel = axes[axis, X_FIRST, cell] * step + shift
        if pixel < 0 or pixel >= size:
            line[cell] = OUTSIDE
            continue
        place = pixel * view_step + view
        line[cell] = axes[base_axis, X_CELL, place] if 0 <= place < base else BORDER


@njit
def see_back(
    lines: Any,
    axes: Any,
    axis: int,
    count: int,
    size: int,
    step: int,
    shift: int,
    reader_axis: int,
    reader_count: int,
) -> int:
    """Write which cells of a reader's plane used each cell through a tap; return how many lines.

    The first line has the first such cell of each one, the next line the second, and so on.

    axis, count, size: of what is read, with its cells and pixels.
    reader_axis, reader_count: of the reader, and its cells.
    """
    found = 0
    for cell in range(reader_count):
        pixel = axes[reader_axis, X_FIRST, cell] * step + shift
        if pixel < 0 or pixel >= size:
            continue
        read, k = axes[axis, X_CELL, pixel], 0
        while k < found and lines[k, read] != OUTSIDE:
            k += 1
        if k == found:
            for other in range(count):
                lines[k, other] = OUTSIDE
            found += 1
        lines[k, read] = cell
    return found


@njit
def see_all(line: Any, count: int) -> None:
    """Write what a plane with the same axis shows."""
    for cell in range(count):
        line[cell] = cell
