"""What each source of a task shows on both axes: a channel, a filter's plane, or a reader.

A source has a number k, in the order of a task's parameters; its lines are filled (lines.py).

P: a Plan of zone_programs.py.
"""

from typing import Any

from numba import njit

from dstbench.native.lines import see_all, see_back, see_through_tap
from dstbench.native.tables import (
    C_BASE,
    C_BASE_COLUMN_AXIS,
    C_BASE_COLUMNS,
    C_BASE_HEIGHT,
    C_BASE_ROW_AXIS,
    C_BASE_WIDTH,
    C_COLUMN_AXIS,
    C_COLUMNS,
    C_GRADIENT,
    C_HEIGHT,
    C_READ_FIRST,
    C_ROW_AXIS,
    C_ROWS,
    C_VIEW_COLUMN,
    C_VIEW_ROW,
    C_VIEW_STEP_COLUMN,
    C_VIEW_STEP_ROW,
    C_WIDTH,
    F_CHANNEL,
    F_GRADIENT,
    F_ONE,
    F_STEP_COLUMN,
    F_STEP_ROW,
    R_COLUMN,
    R_FILTER,
    R_ROW,
    T_CHANNEL,
    T_COLUMN,
    T_ROW,
)


@njit
def see_channel(
    P: Any,
    lines: Any,
    k: int,
    n: int,
    source: int,
    step_row: int,
    row: int,
    step_column: int,
    column: int,
) -> None:
    """Source k of channel n: another one, seen through a tap."""
    own, c = P.channels[n], P.channels[source]
    see_through_tap(
        lines.rows[k],
        P.axes,
        own[C_ROW_AXIS],
        own[C_ROWS],
        step_row,
        row,
        c[C_HEIGHT],
        c[C_VIEW_STEP_ROW],
        c[C_VIEW_ROW],
        c[C_BASE_HEIGHT],
        c[C_BASE_ROW_AXIS],
    )
    see_through_tap(
        lines.columns[k],
        P.axes,
        own[C_COLUMN_AXIS],
        own[C_COLUMNS],
        step_column,
        column,
        c[C_WIDTH],
        c[C_VIEW_STEP_COLUMN],
        c[C_VIEW_COLUMN],
        c[C_BASE_WIDTH],
        c[C_BASE_COLUMN_AXIS],
    )
    lines.row_axis[k] = c[C_BASE_ROW_AXIS]
    lines.column_axis[k] = c[C_BASE_COLUMN_AXIS]
    lines.base[k] = c[C_BASE]
    lines.width[k] = c[C_BASE_COLUMNS]


@njit
def see_tap(P: Any, lines: Any, k: int, f: int, t: int) -> None:
    """Source k: the channel that a tap of a filter reads."""
    see_channel(
        P,
        lines,
        k,
        P.filters[f, F_CHANNEL],
        P.taps[t, T_CHANNEL],
        P.filters[f, F_STEP_ROW],
        P.taps[t, T_ROW],
        P.filters[f, F_STEP_COLUMN],
        P.taps[t, T_COLUMN],
    )


@njit
def see_plane(P: Any, lines: Any, k: int, n: int, plane: int) -> None:
    """Source k: a plane with channel n's axes."""
    see_all(lines.rows[k], P.channels[n, C_ROWS])
    see_all(lines.columns[k], P.channels[n, C_COLUMNS])
    lines.row_axis[k] = P.channels[n, C_ROW_AXIS]
    lines.column_axis[k] = P.channels[n, C_COLUMN_AXIS]
    lines.base[k] = plane
    lines.width[k] = P.channels[n, C_COLUMNS]


@njit
def see_reader(P: Any, lines: Any, k: int, n: int, r: int) -> int:
    """Sources from k on: the gradients of reader r of channel n; return the next source's number.

    They are as many as its cells that used the same cell of the channel; there may be more than
    `lines` has room for.
    """
    f = P.readers[r, R_FILTER]
    own, reader = P.channels[n], P.channels[P.filters[f, F_CHANNEL]]
    rows = see_back(
        lines.row_readers,
        P.axes,
        own[C_ROW_AXIS],
        own[C_ROWS],
        own[C_HEIGHT],
        P.filters[f, F_STEP_ROW],
        P.readers[r, R_ROW],
        reader[C_ROW_AXIS],
        reader[C_ROWS],
    )
    columns = see_back(
        lines.column_readers,
        P.axes,
        own[C_COLUMN_AXIS],
        own[C_COLUMNS],
        own[C_WIDTH],
        P.filters[f, F_STEP_COLUMN],
        P.readers[r, R_COLUMN],
        reader[C_COLUMN_AXIS],
        reader[C_COLUMNS],
    )
    for i in range(rows):
        for j in range(columns):
            if k < len(lines.rows):
                lines.rows[k] = lines.row_readers[i]
                lines.columns[k] = lines.column_readers[j]
                lines.row_axis[k] = reader[C_ROW_AXIS]
                lines.column_axis[k] = reader[C_COLUMN_AXIS]
                lines.base[k] = (
                    reader[C_GRADIENT] if P.filters[f, F_ONE] else P.filters[f, F_GRADIENT]
                )
                lines.width[k] = reader[C_COLUMNS]
                lines.inside[k] = lines.border[k] = r - own[C_READ_FIRST]
            k += 1
    return k
