"""What the kernels' tables have for channels, filters, taps, their readers, and windows."""

import numpy as np

from dstbench.native import tables
from dstbench.native.dynamic_tables import addends, coefficient_rows, keeps_means
from dstbench.native.layers import Layers
from dstbench.native.liveness import Liveness
from dstbench.native.memory import Places
from dstbench.native.order import Order
from dstbench.native.tables import (
    C_PASSED_END,
    C_PASSED_FIRST,
    CHANNEL,
    FILTER,
    READER,
    TAP,
    WINDOW,
)
from dstbench.native.wiring import Array, Taps, Wiring


def channels_and_readers(wiring: Wiring, live: Liveness) -> tuple[Array, Array]:
    """Return the channels' table, with the ranges of their readers, and that of the readers."""
    taps, channels = live.taps, len(live.live)
    read = np.flatnonzero(live.needed[wiring.channel_of[taps.filter]])
    stored = ~live.one[taps.filter[read]]
    read = read[np.lexsort((stored, taps.channel[read]))]
    source = taps.channel[read]
    first = np.searchsorted(source, np.arange(channels))
    end = np.searchsorted(source, np.arange(channels), "right")
    ones = np.bincount(source[live.one[taps.filter[read]]], minlength=channels)
    readers = _table(
        READER,
        R_FILTER=taps.filter[read],
        R_ROW=taps.row[read],
        R_COLUMN=taps.column[read],
        R_TAP=read,
    )
    table = _table(CHANNEL, C_READ_FIRST=first, C_READ_STORED=first + ones, C_READ_END=end)
    return table, readers


def put_channels(table: Array, wiring: Wiring, live: Liveness, order: Order, place: Places) -> None:
    """Write all about channels but their readers, axes and passed channels."""
    first = np.searchsorted(wiring.channel_of, np.arange(len(table)))
    end = np.searchsorted(wiring.channel_of, np.arange(len(table)), "right")
    coefficients, step = coefficient_rows(wiring, live)
    following = np.where(live.live, -1, live.next)  # of live ones, `incoming` says where it is
    window = np.zeros(len(table), np.int64)
    for number, (a, _) in enumerate(_pooling_nodes(wiring.layers)):
        window[wiring.of_node(a)] = number
    _fill(
        table,
        C_HEIGHT=wiring.height,
        C_WIDTH=wiring.width,
        C_KIND=live.kind,
        C_LINK=wiring.link,
        C_NEXT=following,
        C_FIRST=first,
        C_END=end,
        C_BASE=place.base,
        C_BASE_HEIGHT=wiring.height[live.base],
        C_BASE_WIDTH=wiring.width[live.base],
        C_VIEW_ROW=live.row,
        C_VIEW_COLUMN=live.column,
        C_VIEW_STEP_ROW=live.step_row,
        C_VIEW_STEP_COLUMN=live.step_column,
        C_FAR=live.far,
        C_RELU=wiring.relu,
        C_GRADIENT=place.gradient,
        C_INCOMING=place.incoming,
        C_SUMMED=place.summed,
        C_LEVEL=place.channel_level,
        C_POOLED=wiring.maximum_of,
        C_POOLED_BY=live.pooled_by,
        C_WINDOW=window,
        C_DYNAMIC=wiring.dynamic_of,
        C_DYNAMIC_BY=wiring.dynamic_by,
        C_ROW=wiring.dynamic_row,
        C_COEFFICIENTS=coefficients,
        C_COEFFICIENT_STEP=step,
        C_THROUGH=live.through,
        C_ADDEND=addends(wiring, live, order),
        C_SUMS=keeps_means(wiring, live),
    )


def put_axes(
    table: Array, live: Liveness, cells: Array, row_axis: Array, column_axis: Array
) -> None:
    """Write which axes each channel has, and what it reads its values from.

    cells: of each axis.
    """
    rows, columns = cells[row_axis], cells[column_axis]
    _fill(
        table,
        C_ROW_AXIS=row_axis,
        C_COLUMN_AXIS=column_axis,
        C_ROWS=rows,
        C_COLUMNS=columns,
        C_BASE_ROW_AXIS=row_axis[live.base],
        C_BASE_COLUMN_AXIS=column_axis[live.base],
        C_BASE_COLUMNS=columns[live.base],
    )


def put_passed(table: Array, live: Liveness) -> Array:
    """Write the ranges of passed channels; return these channels.

    They are sorted by the channel that their gradients arrive at, last first.
    """
    passed: list[int] = []
    for n in np.flatnonzero(live.live & live.needed & ~live.passed & (live.next >= 0)).tolist():
        x, found = live.next[n], []
        while live.passed[x]:
            found.append(int(x))
            x = live.next[x]
        table[n, C_PASSED_FIRST] = len(passed)
        passed += found[::-1]
        table[n, C_PASSED_END] = len(passed)
    return np.array([*passed, 0])


def filter_table(wiring: Wiring, live: Liveness, place: Places) -> Array:
    """Return the filters' table."""
    taps, count = live.taps, len(wiring.channel_of)
    first = np.searchsorted(taps.filter, np.arange(count))
    on_live = np.bincount(taps.filter[live.live[taps.channel]], minlength=count)
    return _table(
        FILTER,
        F_CHANNEL=wiring.channel_of,
        F_KIND=live.filter_kind,
        F_ONE=live.one,
        F_NORM=wiring.norm,
        F_STEP_ROW=wiring.step_row,
        F_STEP_COLUMN=wiring.step_column,
        F_TAP=first,
        F_TAP_FIXED=first + on_live,
        F_TAP_END=np.searchsorted(taps.filter, np.arange(count), "right"),
        F_PLANE=place.plane,
        F_LEVEL=place.level,
        F_GRADIENT=place.filter_gradient,
        F_SUMMED=place.filter_summed,
    )


def tap_table(taps: Taps) -> Array:
    """Return the taps' table."""
    return _table(TAP, T_CHANNEL=taps.channel, T_ROW=taps.row, T_COLUMN=taps.column)


def window_table(layers: Layers) -> Array:
    """Return the windows of maxima, one a row."""
    rows = [row for _, row in _pooling_nodes(layers)]
    return np.array(rows or [(0,) * WINDOW], np.int64)


def _pooling_nodes(layers: Layers) -> list[tuple[int, tuple[int, ...]]]:
    """Return the numbers of the nodes that are maxima, with rows of the table of windows."""
    return [
        (a, (*node.maximum.window, *node.maximum.stride, *node.maximum.padding))
        for a, node in enumerate(layers.nodes)
        if node.maximum is not None
    ]


def _table(width: int, **columns: Array) -> Array:
    """Return an int64 table with the given columns, by their names in `tables`."""
    rows = len(next(iter(columns.values())))
    table = np.zeros((rows, width), np.int64)
    _fill(table, **columns)
    return table


def _fill(table: Array, **columns: Array) -> None:
    """Write the given columns, by their names in `tables`."""
    for name, values in columns.items():
        table[:, getattr(tables, name)] = values
