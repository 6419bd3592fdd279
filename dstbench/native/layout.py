"""Lays out the zones of all tasks, in tables that are enlarged until everything fits."""

import numpy as np

from dstbench.native.arena import Arena
from dstbench.native.entry_points import lay_out as lay_out_tasks
from dstbench.native.lines import Lines
from dstbench.native.order import Order
from dstbench.native.scratch import most_sources
from dstbench.native.tables import ENTRY, ZONE
from dstbench.native.wiring import Array, Wiring
from dstbench.native.zone_programs import Plan
from dstbench.native.zones import Sheet

# A reader is as many sources as its cells that used the same cell: few, but for whole planes.
_SOURCES = 1024


def lay_out(
    wiring: Wiring, plan: Plan, arena: Arena, order: Order, batch: int, zeros: int
) -> tuple[Array, Array]:
    """Return the tables of zones and entries; they are enlarged until everything fits."""
    channels = plan.channels
    side = int(max(wiring.height.max(), wiring.width.max()))
    sources = max(most_sources(channels, plan.filters), _SOURCES)
    needed = (16 * len(channels), 64 * len(channels), sources)
    while True:
        zones, entries = (
            arena.get(name, count * width, np.dtype(np.int64))
            for name, count, width in zip(
                ("zones", "entries"), needed[:2], (ZONE, ENTRY), strict=True
            )
        )
        zones = zones[: len(zones) // ZONE * ZONE].reshape(-1, ZONE)
        entries = entries[: len(entries) // ENTRY * ENTRY].reshape(-1, ENTRY)
        sheet = Sheet(plan.axes, batch, zeros, zones, entries, np.zeros(3, np.int64))
        lay_out_tasks(plan, sheet, _lines(needed[2], side), order.forward, order.backward)
        filled = sheet.filled.tolist()
        if all(a <= b for a, b in zip(filled, (len(zones), len(entries), needed[2]), strict=True)):
            return zones[: filled[0]].copy(), entries[: filled[1]].copy()
        needed = (filled[0], filled[1], max(needed[2], filled[2]))


def _lines(sources: int, side: int) -> Lines:
    """Return lines of so many sources; a plane has at most `side` rows and columns."""
    rows, columns = np.zeros((2, sources, side), np.int64)
    row_axis, column_axis, base, width, inside, border = np.zeros((6, sources), np.int64)
    row_runs, column_runs = np.zeros((2, side, 2), np.int64)
    row_readers, column_readers = np.zeros((2, side, side), np.int64)
    return Lines(
        rows,
        columns,
        row_axis,
        column_axis,
        base,
        width,
        inside,
        border,
        row_runs,
        column_runs,
        row_readers,
        column_readers,
    )
