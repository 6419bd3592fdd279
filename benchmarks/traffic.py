"""Bytes that the passes of a compiled network move, counted from its tables."""

from dstbench.native import tables
from dstbench.native.compiled_passes import Compiled
from dstbench.native.tables import FIXED, LIVE


def bytes_moved(compiled: Compiled) -> dict[str, int]:
    """Return the bytes of live planes that each pass reads and writes, by pass.

    What a processor reads of a line before it writes it is not counted, nor tables and parameters.
    """
    A = compiled.forward
    zones, width = A.zones, A.values.itemsize
    area = zones[:, tables.Z_ROWS] * zones[:, tables.Z_COLUMNS] * zones[:, tables.Z_COUNT]
    entries = zones[:, tables.Z_END] - zones[:, tables.Z_ENTRY]
    forward, backward = 0, 0
    for f in A.filters[A.filters[:, tables.F_KIND] > FIXED]:
        own = slice(f[tables.F_ZONES], f[tables.F_ZONES_END])
        writes = 0 if f[tables.F_ONE] else 1
        forward += int((area[own] * (entries[own] + writes)).sum())
    for c in A.channels:
        own = slice(c[tables.C_ZONES], c[tables.C_ZONES_END])
        forward += int((area[own] * (entries[own] + 1)).sum())
        if c[tables.C_DYNAMIC_BY] >= 0 and c[tables.C_KIND] != tables.CONSTANT:  # its means
            known = c[tables.C_LINK] >= 0 and A.channels[c[tables.C_LINK], tables.C_SUMS]
            seen = slice(c[tables.C_SEEN], c[tables.C_SEEN_END])
            forward += 0 if known and c[tables.C_KIND] == tables.VIEW else int(area[seen].sum())
    for n in compiled.order.forward:
        c = A.channels[n]
        if c[tables.C_DYNAMIC] >= 0:
            forward += 2 * int(c[tables.C_ROWS] * c[tables.C_COLUMNS] * A.batch[1])
    for n in compiled.backward.order:
        c = A.channels[n]
        own = slice(c[tables.C_BACK], c[tables.C_BACK_END])
        plane = int(area[own].sum())
        if c[tables.C_THROUGH]:
            continue
        if c[tables.C_DYNAMIC] >= 0:
            backward += 3 * plane
            if c[tables.C_READ_FIRST] == c[tables.C_READ_END]:
                continue
        backward += int((area[own] * entries[own]).sum()) + 2 * plane
        backward += plane * (c[tables.C_INCOMING] >= 0)
        for f in A.filters[c[tables.C_FIRST] : c[tables.C_END]]:
            if f[tables.F_KIND] == LIVE and not f[tables.F_ONE]:
                backward += 3 * plane  # the batch norm's gradient
    return {"forward": forward * width, "backward": backward * width}
