"""The zones of every task: the sources of each filter, sum and gradient, and where they are."""

from collections import namedtuple
from typing import Any

from numba import njit

from dstbench.native.lines import BORDER, see_all
from dstbench.native.sight import see_channel, see_plane, see_reader, see_tap
from dstbench.native.tables import (
    C_ADDEND,
    C_BACK,
    C_BACK_END,
    C_BASE,
    C_COLUMN_AXIS,
    C_COLUMNS,
    C_DYNAMIC,
    C_DYNAMIC_BY,
    C_END,
    C_FIRST,
    C_GRADIENT,
    C_KIND,
    C_LEVEL,
    C_LINK,
    C_POOLED,
    C_READ_END,
    C_READ_FIRST,
    C_READ_STORED,
    C_ROW_AXIS,
    C_ROWS,
    C_SEEN,
    C_SEEN_END,
    C_WIDTH,
    C_ZONES,
    C_ZONES_END,
    CONSTANT,
    F_CHANNEL,
    F_KIND,
    F_LEVEL,
    F_ONE,
    F_PLANE,
    F_STEP_COLUMN,
    F_STEP_ROW,
    F_TAP,
    F_TAP_END,
    F_TAP_FIXED,
    F_ZONES,
    F_ZONES_END,
    LIVE,
    R_FILTER,
    STORED,
    T_CHANNEL,
)
from dstbench.native.zones import Area, Sorts, put_zone, put_zones

# images: of the batch. no_level: where the level is that is 0. levelled: of each channel.
Plan = namedtuple("Plan", "axes channels filters taps readers images no_level levelled")


@njit
def _area(
    P: Any, n: int, steps: tuple[int, int], out: int, level: int, level_width: int, apart: bool
) -> Any:
    """Return the plane of channel n's size that a task writes.

    steps: in rows and columns.
    """
    own = P.channels[n]
    return Area(
        own[C_ROW_AXIS],
        own[C_ROWS],
        steps[0],
        own[C_COLUMN_AXIS],
        own[C_COLUMNS],
        steps[1],
        P.images,
        out,
        level,
        level_width,
        apart,
    )


@njit
def _pairs(lines: Any, first: int, end: int) -> None:
    """Two rows of parameters a source: inside, and past the edge."""
    for k in range(first, end):
        lines.inside[k] = 2 * (k - first)
        lines.border[k] = 2 * (k - first) + 1


@njit
def _filter_zones(P: Any, sheet: Any, lines: Any, f: int) -> None:
    n, first = P.filters[f, F_CHANNEL], P.filters[f, F_TAP]
    count = P.filters[f, F_TAP_FIXED] - first
    one, stored = P.filters[f, F_ONE], 0
    for k in range(count):
        see_tap(P, lines, k, f, first + k)
        if not one and P.channels[P.taps[first + k, T_CHANNEL], C_KIND] <= STORED:
            stored += 1
    _pairs(lines, 0, count)
    level, level_width = P.no_level, 0
    if P.filters[f, F_TAP_FIXED] < P.filters[f, F_TAP_END]:
        level, level_width = P.filters[f, F_LEVEL], P.channels[n, C_WIDTH]
    sorts = Sorts(0, stored, count, count)
    area = _area(P, n, (1, 1), P.filters[f, F_PLANE], level, level_width, False)
    # one cell, whose mean is subtracted everywhere
    put_zone(sheet, lines, sorts, area, (area.rows // 2, 1), (area.columns // 2, 1))
    put_zones(sheet, lines, sorts, area, one)


@njit
def _sum_zones(P: Any, sheet: Any, lines: Any, n: int) -> None:
    k, stored_end, link = 0, 0, P.channels[n, C_LINK]
    for turn in range(2):
        stored = turn == 0
        kind = CONSTANT if link < 0 else P.channels[link, C_KIND]
        if kind != CONSTANT and (kind <= STORED) == stored:
            see_channel(P, lines, k, n, link, 1, 0, 1, 0)
            k += 1
        for f in range(P.channels[n, C_FIRST], P.channels[n, C_END]):
            if P.filters[f, F_KIND] != LIVE:
                continue
            if not P.filters[f, F_ONE]:
                if stored:
                    see_plane(P, lines, k, n, P.filters[f, F_PLANE])
                    k += 1
                continue
            tap = P.filters[f, F_TAP]
            if (P.channels[P.taps[tap, T_CHANNEL], C_KIND] <= STORED) == stored:
                see_tap(P, lines, k, f, tap)
                k += 1
        if stored:
            stored_end = k
    _pairs(lines, 0, k)
    level_width = P.channels[n, C_WIDTH] if P.levelled[n] else 0
    area = _area(P, n, (1, 1), P.channels[n, C_BASE], P.channels[n, C_LEVEL], level_width, False)
    put_zones(sheet, lines, Sorts(0, stored_end, k, k), area, False)


@njit
def _seen_zones(P: Any, sheet: Any, lines: Any, n: int) -> None:
    """The zones of a channel that a dynamic activation reads: in each, one source and a level.

    A constant channel is its level, and its source are zeros.
    """
    level, level_width = P.no_level, 0
    if P.channels[n, C_KIND] == CONSTANT:
        lines.rows[0, : P.channels[n, C_ROWS]] = BORDER
        see_all(lines.columns[0], P.channels[n, C_COLUMNS])
        level, level_width = P.channels[n, C_BASE], P.channels[n, C_WIDTH]
    else:
        see_channel(P, lines, 0, n, n, 1, 0, 1, 0)
    _pairs(lines, 0, 1)
    area = _area(P, n, (1, 1), 0, level, level_width, True)
    put_zones(sheet, lines, Sorts(0, 0, 1, 1), area, False)


@njit
def _common_multiple(a: int, b: int) -> int:
    x, y = a, b
    while y:
        x, y = y, x % y
    return a // x * b


@njit
def _back_zones(P: Any, sheet: Any, lines: Any, n: int) -> None:
    see_channel(P, lines, 0, n, n, 1, 0, 1, 0)
    lines.inside[0] = lines.border[0] = 0
    k, second, step_row, step_column = 1, 1, 1, 1
    for r in range(P.channels[n, C_READ_FIRST], P.channels[n, C_READ_END]):
        f = P.readers[r, R_FILTER]
        step_row = _common_multiple(step_row, P.filters[f, F_STEP_ROW])
        step_column = _common_multiple(step_column, P.filters[f, F_STEP_COLUMN])
        k = see_reader(P, lines, k, n, r)
        if r < P.channels[n, C_READ_STORED]:
            second = k
    third, own = k, P.channels[n, C_END] - P.channels[n, C_FIRST]
    sheet.filled[2] = max(sheet.filled[2], third + own)
    if third + own > len(lines.rows):
        return  # it is laid out again, with more room
    for f in range(P.channels[n, C_FIRST], P.channels[n, C_END]):
        if P.filters[f, F_KIND] != LIVE:
            continue
        if P.filters[f, F_ONE]:
            see_tap(P, lines, k, f, P.filters[f, F_TAP])
        else:
            see_plane(P, lines, k, n, P.filters[f, F_PLANE])
        k += 1
    _pairs(lines, third, k)
    out, apart = P.channels[n, C_GRADIENT], P.channels[n, C_ADDEND] >= 0
    area = _area(P, n, (step_row, step_column), out, 0, 0, apart)
    put_zones(sheet, lines, Sorts(1, second, third, k), area, False)


@njit
def lay_out(P: Any, sheet: Any, lines: Any, forward: Any, backward: Any) -> None:
    """Write the zones of all tasks, in their order, and their ranges into the tables."""
    for n in forward:
        for f in range(P.channels[n, C_FIRST], P.channels[n, C_END]):
            P.filters[f, F_ZONES] = sheet.filled[0]
            if P.filters[f, F_KIND] == LIVE:
                _filter_zones(P, sheet, lines, f)
            P.filters[f, F_ZONES_END] = sheet.filled[0]
        P.channels[n, C_ZONES] = sheet.filled[0]
        read = max(P.channels[n, C_POOLED], P.channels[n, C_DYNAMIC])
        if P.channels[n, C_KIND] == STORED and read < 0:
            _sum_zones(P, sheet, lines, n)
        P.channels[n, C_ZONES_END] = sheet.filled[0]
        P.channels[n, C_SEEN] = sheet.filled[0]
        if P.channels[n, C_DYNAMIC_BY] >= 0:
            _seen_zones(P, sheet, lines, n)
        P.channels[n, C_SEEN_END] = sheet.filled[0]
    for n in backward:
        P.channels[n, C_BACK] = sheet.filled[0]
        if P.channels[n, C_KIND] != CONSTANT:
            _back_zones(P, sheet, lines, n)
        P.channels[n, C_BACK_END] = sheet.filled[0]
