"""The zones of every task: the sources of each filter, sum and gradient, and where they are."""

from collections import namedtuple
from typing import Any

from numba import njit

from dstbench.native.tables import (
    C_ADDEND,
    C_BACK,
    C_BACK_END,
    C_BASE,
    C_BASE_HEIGHT,
    C_BASE_WIDTH,
    C_DYNAMIC,
    C_DYNAMIC_BY,
    C_END,
    C_FIRST,
    C_GRADIENT,
    C_HEIGHT,
    C_KIND,
    C_LEVEL,
    C_LINK,
    C_POOLED,
    C_READ_END,
    C_READ_FIRST,
    C_READ_STORED,
    C_SEEN,
    C_SEEN_END,
    C_VIEW_COLUMN,
    C_VIEW_ROW,
    C_VIEW_STEP_COLUMN,
    C_VIEW_STEP_ROW,
    C_WIDTH,
    C_ZONES,
    C_ZONES_END,
    CONSTANT,
    F_CHANNEL,
    F_GRADIENT,
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
    R_COLUMN,
    R_FILTER,
    R_ROW,
    STORED,
    T_CHANNEL,
    T_COLUMN,
    T_ROW,
)
from dstbench.native.zones import (
    BORDER,
    Area,
    Sorts,
    put_zone,
    put_zones,
    see_all,
    see_reader,
    see_through_tap,
)

# images: of the batch. no_level: where the level is that is 0. levelled: of each channel.
Plan = namedtuple("Plan", "channels filters taps readers images no_level levelled")


@njit
def _see_channel(
    P: Any,
    lines: Any,
    k: int,
    source: int,
    height: int,
    step_row: int,
    row: int,
    width: int,
    step_column: int,
    column: int,
) -> None:
    """Source k: a channel, seen through a tap from a plane of height × width."""
    c = P.channels[source]
    see_through_tap(
        lines.rows[k],
        height,
        step_row,
        row,
        c[C_HEIGHT],
        c[C_VIEW_STEP_ROW],
        c[C_VIEW_ROW],
        c[C_BASE_HEIGHT],
    )
    see_through_tap(
        lines.columns[k],
        width,
        step_column,
        column,
        c[C_WIDTH],
        c[C_VIEW_STEP_COLUMN],
        c[C_VIEW_COLUMN],
        c[C_BASE_WIDTH],
    )
    lines.base[k] = c[C_BASE]
    lines.width[k] = c[C_BASE_WIDTH]


@njit
def _see_tap(P: Any, lines: Any, k: int, f: int, t: int) -> None:
    """Source k: the channel that a tap of a filter reads."""
    n = P.filters[f, F_CHANNEL]
    _see_channel(
        P,
        lines,
        k,
        P.taps[t, T_CHANNEL],
        P.channels[n, C_HEIGHT],
        P.filters[f, F_STEP_ROW],
        P.taps[t, T_ROW],
        P.channels[n, C_WIDTH],
        P.filters[f, F_STEP_COLUMN],
        P.taps[t, T_COLUMN],
    )


@njit
def _see_plane(P: Any, lines: Any, k: int, n: int, plane: int) -> None:
    """Source k: a plane of channel n's size."""
    see_all(lines.rows[k], P.channels[n, C_HEIGHT])
    see_all(lines.columns[k], P.channels[n, C_WIDTH])
    lines.base[k] = plane
    lines.width[k] = P.channels[n, C_WIDTH]


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
        _see_tap(P, lines, k, f, first + k)
        if not one and P.channels[P.taps[first + k, T_CHANNEL], C_KIND] <= STORED:
            stored += 1
    _pairs(lines, 0, count)
    height, width = P.channels[n, C_HEIGHT], P.channels[n, C_WIDTH]
    plane = P.filters[f, F_PLANE]
    level, level_width = P.no_level, 0
    if P.filters[f, F_TAP_FIXED] < P.filters[f, F_TAP_END]:
        level, level_width = P.filters[f, F_LEVEL], width
    sorts = Sorts(0, stored, count, count)
    area = Area(height, 1, width, 1, P.images, plane, level, level_width, False)
    # one pixel, whose mean is subtracted everywhere
    put_zone(sheet, lines, sorts, area, (height // 2, 1), (width // 2, 1))
    put_zones(sheet, lines, sorts, area, one)


@njit
def _sum_zones(P: Any, sheet: Any, lines: Any, n: int) -> None:
    height, width, link = P.channels[n, C_HEIGHT], P.channels[n, C_WIDTH], P.channels[n, C_LINK]
    k, stored_end = 0, 0
    for turn in range(2):
        stored = turn == 0
        kind = CONSTANT if link < 0 else P.channels[link, C_KIND]
        if kind != CONSTANT and (kind <= STORED) == stored:
            _see_channel(P, lines, k, link, height, 1, 0, width, 1, 0)
            k += 1
        for f in range(P.channels[n, C_FIRST], P.channels[n, C_END]):
            if P.filters[f, F_KIND] != LIVE:
                continue
            if not P.filters[f, F_ONE]:
                if stored:
                    _see_plane(P, lines, k, n, P.filters[f, F_PLANE])
                    k += 1
                continue
            tap = P.filters[f, F_TAP]
            if (P.channels[P.taps[tap, T_CHANNEL], C_KIND] <= STORED) == stored:
                _see_tap(P, lines, k, f, tap)
                k += 1
        if stored:
            stored_end = k
    _pairs(lines, 0, k)
    level, level_width = P.channels[n, C_LEVEL], width if P.levelled[n] else 0
    area = Area(height, 1, width, 1, P.images, P.channels[n, C_BASE], level, level_width, False)
    put_zones(sheet, lines, Sorts(0, stored_end, k, k), area, False)


@njit
def _seen_zones(P: Any, sheet: Any, lines: Any, n: int) -> None:
    """The zones of a channel that a dynamic activation reads: in each, one source and a level.

    A constant channel is its level, and its source are zeros.
    """
    height, width = P.channels[n, C_HEIGHT], P.channels[n, C_WIDTH]
    level, level_width = P.no_level, 0
    if P.channels[n, C_KIND] == CONSTANT:
        lines.rows[0, :height] = BORDER
        see_all(lines.columns[0], width)
        level, level_width = P.channels[n, C_BASE], width
    else:
        _see_channel(P, lines, 0, n, height, 1, 0, width, 1, 0)
    _pairs(lines, 0, 1)
    area = Area(height, 1, width, 1, P.images, 0, level, level_width, True)
    put_zones(sheet, lines, Sorts(0, 0, 1, 1), area, False)


@njit
def _common_multiple(a: int, b: int) -> int:
    x, y = a, b
    while y:
        x, y = y, x % y
    return a // x * b


@njit
def _back_zones(P: Any, sheet: Any, lines: Any, n: int) -> None:
    height, width = P.channels[n, C_HEIGHT], P.channels[n, C_WIDTH]
    _see_channel(P, lines, 0, n, height, 1, 0, width, 1, 0)
    lines.inside[0] = 0
    lines.border[0] = 0
    k, step_row, step_column, first = 1, 1, 1, P.channels[n, C_READ_FIRST]
    for r in range(first, P.channels[n, C_READ_END]):
        f = P.readers[r, R_FILTER]
        reader = P.filters[f, F_CHANNEL]
        rows, columns = P.channels[reader, C_HEIGHT], P.channels[reader, C_WIDTH]
        strides = P.filters[f, F_STEP_ROW], P.filters[f, F_STEP_COLUMN]
        step_row = _common_multiple(step_row, strides[0])
        step_column = _common_multiple(step_column, strides[1])
        see_reader(lines.rows[k], height, strides[0], P.readers[r, R_ROW], rows)
        see_reader(lines.columns[k], width, strides[1], P.readers[r, R_COLUMN], columns)
        one = P.filters[f, F_ONE]
        lines.base[k] = P.channels[reader, C_GRADIENT] if one else P.filters[f, F_GRADIENT]
        lines.width[k] = columns
        lines.inside[k] = r - first
        lines.border[k] = r - first
        k += 1
    second, third = 1 + P.channels[n, C_READ_STORED] - first, k
    for f in range(P.channels[n, C_FIRST], P.channels[n, C_END]):
        if P.filters[f, F_KIND] != LIVE:
            continue
        if P.filters[f, F_ONE]:
            _see_tap(P, lines, k, f, P.filters[f, F_TAP])
        else:
            _see_plane(P, lines, k, n, P.filters[f, F_PLANE])
        k += 1
    _pairs(lines, third, k)
    out = P.channels[n, C_GRADIENT]
    area = Area(
        height, step_row, width, step_column, P.images, out, 0, 0, P.channels[n, C_ADDEND] >= 0
    )
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
