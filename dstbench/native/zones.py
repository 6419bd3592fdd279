"""Zones: which sources see which pixels of a plane, worked out once, so that a step only runs on.

A zone is a rectangle of pixels (perhaps every second row or column of one) that all see the same
sources, each in the same way. There are three: inside (a row and a column of the source's base
plane, ≥ 0), OUTSIDE (it adds nothing) and BORDER (its base plane ends there, and it is a constant,
as of a view that is moved).
"""

from collections import namedtuple
from typing import Any

from numba import njit

from dstbench.native.tables import (
    E_COLUMN,
    E_OFFSET,
    E_PARAMETER,
    E_ROW,
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
    Z_ROWS,
    Z_SECOND,
    Z_THIRD,
)

OUTSIDE, BORDER = -1, -2

# rows, columns: (sources, pixels) what each source sees along an axis. base, width: its base plane.
# inside, border: rows of its parameters. row_runs, column_runs: (first, count) of equal lines.
Lines = namedtuple("Lines", "rows columns base width inside border row_runs column_runs")
# The sources of a task are of three sorts: first … second - 1, second … third - 1, third … end - 1.
# With first = 1, source 0 is the channel itself.
Sorts = namedtuple("Sorts", "first second third end")
# The plane that a task writes, and in which steps. images: of the batch, which may be fewer than a
# pixel has numbers. out: where it is. level: forward, where its level is; level_width: pixels
# of a row of that, or 0 for one number.
# apart: whether each pixel is a strip of its own.
Area = namedtuple("Area", "height step_row width step_column images out level level_width apart")
# batch: numbers of a pixel in memory. zeros: a place with zeros, as large as a plane. filled:
# (zones, entries) so far, which may exceed the tables.
Sheet = namedtuple("Sheet", "batch zeros zones entries filled")


@njit
def see_through_tap(
    line: Any,
    count: int,
    step: int,
    shift: int,
    size: int,
    view_step: int,
    view: int,
    base: int,
) -> None:
    """Write what a tap sees along one axis.

    count: pixels of the result; pixel y is at y · step + shift of the channel that is read.
    size: pixels of that channel; pixel p is at p · view_step + view of its base plane.
    base: pixels of the base plane.
    """
    for y in range(count):
        pixel = y * step + shift
        if pixel < 0 or pixel >= size:
            line[y] = OUTSIDE
            continue
        place = pixel * view_step + view
        line[y] = place if 0 <= place < base else BORDER


@njit
def see_reader(line: Any, count: int, step: int, shift: int, size: int) -> None:
    """Write which pixels of a reader's plane, of `size`, used each pixel through a tap."""
    for y in range(count):
        place = y - shift
        inside = place >= 0 and place % step == 0 and place // step < size
        line[y] = place // step if inside else OUTSIDE


@njit
def see_all(line: Any, count: int) -> None:
    for y in range(count):
        line[y] = y


@njit
def _equal(lines: Any, sources: int, a: int, b: int) -> bool:
    for k in range(sources):
        if (lines[k, a] < 0 or lines[k, b] < 0) and lines[k, a] != lines[k, b]:
            return False
    return True


@njit
def _runs(lines: Any, sources: int, count: int, step: int, runs: Any) -> int:
    """Write (first, count) of pixels, `step` apart, that all sources see alike; return how many."""
    found = 0
    for start in range(step):
        y = start
        while y < count:
            end = y
            while end + step < count and _equal(lines, sources, end, end + step):
                end += step
            runs[found, 0] = y
            runs[found, 1] = (end - y) // step + 1
            found += 1
            y = end + step
    return found


@njit
def _adjacent(columns: Any, sources: int, x: int, count: int) -> bool:
    """Return whether the pixels from x on are neighbours in memory for every source."""
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
            if row == BORDER or column == BORDER:
                entry[E_PARAMETER] = lines.border[k]
                entry[E_OFFSET] = sheet.zeros
            else:
                width = lines.width[k]
                entry[E_PARAMETER] = lines.inside[k]
                entry[E_OFFSET] = lines.base[k] + (row * width + column) * batch
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
    zone[Z_OUT] = area.out + (y * area.width + x) * batch
    zone[Z_OUT_ROW] = area.step_row * area.width * batch
    zone[Z_OUT_COLUMN] = area.step_column * batch
    zone[Z_ENTRY] = start
    zone[Z_SECOND] = second
    zone[Z_THIRD] = third
    zone[Z_END] = end
    zone[Z_PIXELS] = rows * columns
    zone[Z_BORDER] = 0
    if sorts.first == 0:
        level_width = area.level_width
        zone[Z_OWN] = area.level + y * level_width + x if level_width else area.level
        zone[Z_OWN_ROW] = level_width * area.step_row
        zone[Z_OWN_COLUMN] = area.step_column if level_width else 0
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
    row_runs = _runs(lines.rows, sorts.end, area.height, area.step_row, lines.row_runs)
    column_runs = _runs(lines.columns, sorts.end, area.width, area.step_column, lines.column_runs)
    for i in range(row_runs):
        row_run = (lines.row_runs[i, 0], lines.row_runs[i, 1])
        for j in range(column_runs):
            column_run = (lines.column_runs[j, 0], lines.column_runs[j, 1])
            before = sheet.filled[1]
            put_zone(sheet, lines, sorts, area, row_run, column_run)
            if drops_empty and sheet.filled[1] == before:
                sheet.filled[0] -= 1
