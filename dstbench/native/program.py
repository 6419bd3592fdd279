"""From masks to tables: all that a step needs, for one size of batch. Values are not read."""

import numpy as np

from dstbench.compiled.lanes import LANES
from dstbench.native import tables
from dstbench.native.arena import Arena
from dstbench.native.axes import axes_of
from dstbench.native.compiled_passes import Compiled
from dstbench.native.dynamic_tables import (
    addends,
    coefficient_rows,
    dynamic_tables,
    keeps_means,
)
from dstbench.native.layers import Layers
from dstbench.native.layout import lay_out
from dstbench.native.liveness import Liveness, liveness
from dstbench.native.memory import Places, places
from dstbench.native.order import Order, order_of
from dstbench.native.scratch import scratch_of
from dstbench.native.tables import (
    BIG,
    CHANNEL,
    FILTER,
    READER,
    TAP,
    V_HIGH,
    V_LOW,
    V_SCALE,
    VALUES,
    WINDOW,
    Program,
)
from dstbench.native.wiring import Array, Taps, Wiring
from dstbench.native.zone_programs import Plan


def compile_program(
    wiring: Wiring,
    taps: Taps,
    numbers: Array,
    arena: Arena,
    images: int,
    threads: int,
) -> Compiled:
    """Return the passes for batches of `images` images.

    numbers: float64, (filters, NUMBERS), which the program shares.
    """
    batch = -(-images // LANES) * LANES
    live = liveness(wiring, taps)
    order = order_of(wiring, live)
    axes, row_axis, column_axis = axes_of(wiring, taps)
    rows, columns = axes.cells()[row_axis], axes.cells()[column_axis]
    place = places(wiring, live, order, rows * columns, batch)
    readers, channels = _readers(wiring, live)
    _fill_channels(channels, wiring, live, order, place)
    _fill(
        channels,
        C_ROW_AXIS=row_axis,
        C_COLUMN_AXIS=column_axis,
        C_ROWS=rows,
        C_COLUMNS=columns,
        C_BASE_ROW_AXIS=row_axis[live.base],
        C_BASE_COLUMN_AXIS=column_axis[live.base],
        C_BASE_COLUMNS=columns[live.base],
    )
    passed = _passed(channels, live)
    filters = _filters(wiring, live, place)
    sorted_taps = live.taps
    tap_table = _table(
        TAP, T_CHANNEL=sorted_taps.channel, T_ROW=sorted_taps.row, T_COLUMN=sorted_taps.column
    )
    values = arena.get("values", place.values)
    gradients, levels = (
        arena.get("gradients", place.gradients),
        arena.get("levels", place.levels)[: place.levels],
    )
    plan = Plan(
        axes.table(),
        channels,
        filters,
        tap_table,
        readers,
        images,
        place.levels - 1,
        place.levelled,
    )
    zones, entries = lay_out(wiring, plan, arena, order, batch, place.zeros)
    views = np.zeros((len(channels), VALUES))
    views[:, V_SCALE], views[:, V_LOW], views[:, V_HIGH] = 1, -BIG, BIG
    shared = {
        "batch": np.array([images, batch]),
        "evaluate": np.zeros(1, np.int64),
        "values": values,
        "gradients": gradients,
        "levels": levels,
        "axes": plan.axes,
        "zones": zones,
        "entries": entries,
        "channels": channels,
        "views": views,
        "filters": filters,
        "numbers": numbers,
        "taps": tap_table,
        "readers": readers,
        "passed": passed,
        "windows": _windows(wiring.layers),
        "weights": np.zeros(len(sorted_taps), arena.dtype),
        "tap_gradients": np.zeros(len(sorted_taps)),
        **dynamic_tables(wiring, arena.get, batch),
    }
    forward = Program(**shared, order=order.forward, after=order.forward_after)
    backward = Program(**shared, order=order.backward, after=place.backward_after)
    scratch = tuple(scratch_of(channels, filters, batch, arena.dtype) for _ in range(threads))
    return Compiled(forward, backward, scratch, live, order, sorted_taps, place)


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


def _readers(wiring: Wiring, live: Liveness) -> tuple[Array, Array]:
    """Return the table of taps by what they read, and the channels' table with their ranges."""
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
    return readers, table


def _fill_channels(
    table: Array, wiring: Wiring, live: Liveness, order: Order, place: Places
) -> None:
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


def _passed(table: Array, live: Liveness) -> Array:
    """Return the passed channels by the channel that their gradients arrive at, last first."""
    passed: list[int] = []
    for n in np.flatnonzero(live.live & live.needed & ~live.passed & (live.next >= 0)).tolist():
        x, found = live.next[n], []
        while live.passed[x]:
            found.append(int(x))
            x = live.next[x]
        table[n, tables.C_PASSED_FIRST] = len(passed)
        passed += found[::-1]
        table[n, tables.C_PASSED_END] = len(passed)
    return np.array([*passed, 0])


def _filters(wiring: Wiring, live: Liveness, place: Places) -> Array:
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


def _pooling_nodes(layers: Layers) -> list[tuple[int, tuple[int, ...]]]:
    """Return the numbers of the nodes that are maxima, with rows of the table of windows."""
    return [
        (a, (*node.maximum.window, *node.maximum.stride, *node.maximum.padding))
        for a, node in enumerate(layers.nodes)
        if node.maximum is not None
    ]


def _windows(layers: Layers) -> Array:
    rows = [row for _, row in _pooling_nodes(layers)]
    return np.array(rows or [(0,) * WINDOW], np.int64)
