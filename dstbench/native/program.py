"""From masks to tables: all that a step needs, for one size of batch. Values are not read."""

import numpy as np

from dstbench.compiled.lanes import LANES
from dstbench.native.arena import Arena
from dstbench.native.axes import axes_of
from dstbench.native.compiled_passes import Compiled
from dstbench.native.dynamic_tables import dynamic_tables
from dstbench.native.fill_tables import (
    channels_and_readers,
    filter_table,
    put_axes,
    put_channels,
    put_passed,
    tap_table,
    window_table,
)
from dstbench.native.layout import lay_out
from dstbench.native.liveness import liveness
from dstbench.native.memory import places
from dstbench.native.order import order_of
from dstbench.native.scratch import scratch_of
from dstbench.native.tables import BIG, V_HIGH, V_LOW, V_SCALE, VALUES, Program
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
    cells = axes.cells()
    place = places(wiring, live, order, cells[row_axis] * cells[column_axis], batch)
    channels, readers = channels_and_readers(wiring, live)
    put_channels(channels, wiring, live, order, place)
    put_axes(channels, live, cells, row_axis, column_axis)
    passed = put_passed(channels, live)
    filters = filter_table(wiring, live, place)
    sorted_taps = tap_table(live.taps)
    plan = Plan(
        axes.table(),
        channels,
        filters,
        sorted_taps,
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
        "values": arena.get("values", place.values),
        "gradients": arena.get("gradients", place.gradients),
        "levels": arena.get("levels", place.levels)[: place.levels],
        "axes": plan.axes,
        "zones": zones,
        "entries": entries,
        "channels": channels,
        "views": views,
        "filters": filters,
        "numbers": numbers,
        "taps": sorted_taps,
        "readers": readers,
        "passed": passed,
        "windows": window_table(wiring.layers),
        "weights": np.zeros(len(sorted_taps), arena.dtype),
        "tap_gradients": np.zeros(len(sorted_taps)),
        **dynamic_tables(wiring, arena.get, batch),
    }
    forward = Program(**shared, order=order.forward, after=order.forward_after)
    backward = Program(**shared, order=order.backward, after=place.backward_after)
    scratch = tuple(scratch_of(channels, filters, batch, arena.dtype) for _ in range(threads))
    return Compiled(forward, backward, scratch, live, order, live.taps, place)
