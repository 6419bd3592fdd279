"""Zones: which sources see which cells of a plane, worked out once, so that a step only runs on.

A zone is a rectangle of cells (perhaps every second row or column of one) that all see the same
sources, each in the same way and, if it is inside, as far apart (lines.py). A cell of several
pixels is a zone of its own.
"""

from collections import namedtuple
from typing import Any

from numba import njit

from dstbench.native.lines import BORDER, OUTSIDE
from dstbench.native.tables import (
    E_COLUMN,
    E_OFFSET,
    E_PARAMETER,
    E_REPEATS,
    E_ROW,
    X_FIRST,
    X_REPEATS,
    Z_BORDER,
    Z_COLUMNS,
    Z_COUNT,
    Z_END,
    Z_ENTRY,
    Z_OUT,
    Z_OUT_COLUMN,
    Z_OUT_ROW,
    Z_OWN,
    Z_OWN_COLUMN,
    Z_OWN_ROW,
    Z_PIXELS,
    Z_REPEATS,
    Z_ROWS,
    Z_SECOND,
    Z_THIRD,
)

# The sources of a task are of three sorts: first … second - 1, second … third - 1, third … end - 1.
# With first = 1, source 0 is the channel itself.
Sorts = namedtuple("Sorts", "first second third end")
# The plane that a task writes: its axes, how many cells they have, and in which steps. images: of
# the batch, which may be fewer than a cell has numbers. out: where it is. level: forward, where
# its level is; level_width: pixels of a row of that, or 0 for one number.
# apart: whether each cell is a strip of its own.
Area = namedtuple(
    "Area",
    "row_axis rows step_row column_axis columns step_column images out level level_width apart",
)
# axes: as in axes.py. batch: numbers of a cell in memory. zeros: a place with zeros, as large as a
# plane. filled: (zones, entries, sources of a task) so far, which may exceed the tables.
Sheet = namedtuple("Sheet", "axes batch zeros zones entries filled")


@njit
def _alike(lines: Any, sources: int, a: int, b: int) -> bool:
    """Return whether the same sources are inside, outside and past an edge at two cells."""
    for k in range(sources):
        if (lines[k, a] < 0 or lines[k, b] < 0) and lines[k, a] != lines[k, b]:
            return False
    return True


@njit
def _evenly(lines: Any, sources: int, a: int, b: int, c: int) -> bool:
    """Return whether every source inside is as far from cell b to c as it is from a to b."""
    for k in range(sources):
        if lines[k, a] >= 0 and lines[k, c] - lines[k, b] != lines[k, b] - lines[k, a]:
            return False
    return True


@njit
def _runs(axes: Any, axis: int, lines: Any, sources: int, count: int, step: int, runs: Any) -> int:
    """Write (first, count) of cells, `step` apart, that are in a zone; return how many."""
    found = 0
    for start in range(step):
        y = start
        while y < count:
            end = y
            while (
                end + step < count
                and axes[axis, X_REPEATS, end] == 1
                and axes[axis, X_REPEATS, end + step] == 1
                and axes[axis, X_FIRST, end + step] - axes[axis, X_FIRST, end] == step
                and _alike(lines, sources, end, end + step)
                and (end == y or _evenly(lines, sources, end - step, end, end + step))
            ):
                end += step
            runs[found, 0] = y
            runs[found, 1] = (end - y) // step + 1
            found += 1
            y = end + step
    return found


@njit
def _adjacent(columns: Any, sources: int, x: int, count: int) -> bool:
    """Return whether the cells from x on are neighbours in memory for every source."""
    for k in range(sources):
        if count > 1 and columns[k, x] >= 0 and columns[k, x + 1] - columns[k, x] != 1:
            return False
    return True


@njit
def _put_entries(
    sheet: Any,
    lines: Any,
    area: Any,
    first: int,
    end: int,
    row_run: tuple[int, int],
    column_run: tuple[int, int],
) -> int:
    """Add the entries of the sources first … end − 1 that see a zone; return the next entry."""
    e, batch = sheet.filled[1], sheet.batch
    y, x = row_run[0], column_run[0]
    for k in range(first, end):
        row, column = lines.rows[k, y], lines.columns[k, x]
        if row == OUTSIDE or column == OUTSIDE:
            continue
        if e < len(sheet.entries):
            entry = sheet.entries[e]
            entry[E_ROW] = 0
            entry[E_COLUMN] = 0
            entry[E_REPEATS] = 1
            if row == BORDER or column == BORDER:
                entry[E_PARAMETER] = lines.border[k]
                entry[E_OFFSET] = sheet.zeros
            else:
                width = lines.width[k]
                entry[E_PARAMETER] = lines.inside[k]
                entry[E_OFFSET] = lines.base[k] + (row * width + column) * batch
                entry[E_REPEATS] = (
                    sheet.axes[lines.row_axis[k], X_REPEATS, row]
                    * sheet.axes[lines.column_axis[k], X_REPEATS, column]
                )
                if row_run[1] > 1:
                    entry[E_ROW] = (lines.rows[k, y + area.step_row] - row) * width * batch
                if column_run[1] > 1:
                    entry[E_COLUMN] = (lines.columns[k, x + area.step_column] - column) * batch
        e += 1
    sheet.filled[1] = e
    return e


@njit
def put_zone(
    sheet: Any,
    lines: Any,
    sorts: Any,
    area: Any,
    row_run: tuple[int, int],
    column_run: tuple[int, int],
) -> None:
    """Add one zone.

    row_run, column_run: (first, count) of its rows and columns, in the area's steps.
    """
    (y, rows), (x, columns), batch = row_run, column_run, sheet.batch
    whole = area.step_column == 1 and area.level_width == 0 and area.images == batch
    whole = whole and not area.apart
    whole = whole and _adjacent(lines.columns, sorts.end, x, columns)
    start = sheet.filled[1]
    second = _put_entries(sheet, lines, area, sorts.first, sorts.second, row_run, column_run)
    third = _put_entries(sheet, lines, area, sorts.second, sorts.third, row_run, column_run)
    end = _put_entries(sheet, lines, area, sorts.third, sorts.end, row_run, column_run)
    n = sheet.filled[0]
    sheet.filled[0] = n + 1
    if n >= len(sheet.zones):
        return
    zone = sheet.zones[n]
    zone[Z_ROWS] = rows
    zone[Z_COLUMNS] = 1 if whole else columns
    zone[Z_COUNT] = columns * batch if whole else area.images
    zone[Z_OUT] = area.out + (y * area.columns + x) * batch
    zone[Z_OUT_ROW] = area.step_row * area.columns * batch
    zone[Z_OUT_COLUMN] = area.step_column * batch
    zone[Z_ENTRY] = start
    zone[Z_SECOND] = second
    zone[Z_THIRD] = third
    zone[Z_END] = end
    row_axis, column_axis = sheet.axes[area.row_axis], sheet.axes[area.column_axis]
    zone[Z_REPEATS] = row_axis[X_REPEATS, y] * column_axis[X_REPEATS, x]
    zone[Z_PIXELS] = rows * columns * zone[Z_REPEATS]
    zone[Z_BORDER] = 0
    if sorts.first == 0:
        zone[Z_OWN], zone[Z_OWN_ROW], zone[Z_OWN_COLUMN] = area.level, 0, 0
        if area.level_width:  # a number of each pixel
            first_row, first_column = row_axis[X_FIRST, y], column_axis[X_FIRST, x]
            zone[Z_OWN] += first_row * area.level_width + first_column
            if rows > 1:
                next_row = row_axis[X_FIRST, y + area.step_row]
                zone[Z_OWN_ROW] = (next_row - first_row) * area.level_width
            if columns > 1:
                zone[Z_OWN_COLUMN] = column_axis[X_FIRST, x + area.step_column] - first_column
    else:
        _put_own(zone, sheet, lines, area, row_run, column_run)


@njit
def _put_own(
    zone: Any,
    sheet: Any,
    lines: Any,
    area: Any,
    row_run: tuple[int, int],
    column_run: tuple[int, int],
) -> None:
    """Write where the channel's own values are: source 0."""
    (y, rows), (x, columns), batch = row_run, column_run, sheet.batch
    row, column, width = lines.rows[0, y], lines.columns[0, x], lines.width[0]
    zone[Z_OWN_ROW] = 0
    zone[Z_OWN_COLUMN] = 0
    if row == BORDER or column == BORDER:
        zone[Z_BORDER] = 1
        zone[Z_OWN] = sheet.zeros
        return
    zone[Z_OWN] = lines.base[0] + (row * width + column) * batch
    if rows > 1:
        zone[Z_OWN_ROW] = (lines.rows[0, y + area.step_row] - row) * width * batch
    if columns > 1:
        zone[Z_OWN_COLUMN] = (lines.columns[0, x + area.step_column] - column) * batch


@njit
def put_zones(sheet: Any, lines: Any, sorts: Any, area: Any, drops_empty: bool) -> None:
    """Divide a plane into zones and add them.

    drops_empty: whether zones without a source are left out.
    """
    end, axes = sorts.end, sheet.axes
    row_runs = _runs(axes, area.row_axis, lines.rows, end, area.rows, area.step_row, lines.row_runs)
    column_runs = _runs(
        axes,
        area.column_axis,
        lines.columns,
        end,
        area.columns,
        area.step_column,
        lines.column_runs,
    )
    for i in range(row_runs):
        row_run = (lines.row_runs[i, 0], lines.row_runs[i, 1])
        for j in range(column_runs):
            column_run = (lines.column_runs[j, 0], lines.column_runs[j, 1])
            before = sheet.filled[1]
            put_zone(sheet, lines, sorts, area, row_run, column_run)
            if drops_empty and sheet.filled[1] == before:
                sheet.filled[0] -= 1
