"""The memory that each thread works in, as large as the largest task needs."""

import numpy as np

from dstbench.compiled.lanes import LANES
from dstbench.native import tables
from dstbench.native.tables import Scratch
from dstbench.native.wiring import Array


def most_sources(channels: Array, filters: Array) -> int:
    """Return the largest number of sources of any task."""
    taps = filters[:, tables.F_TAP_FIXED] - filters[:, tables.F_TAP] if len(filters) else [0]
    readers = channels[:, tables.C_READ_END] - channels[:, tables.C_READ_FIRST]
    own = channels[:, tables.C_END] - channels[:, tables.C_FIRST]
    return int(max(np.max(taps), (readers + own).max())) + 2


def scratch_of(channels: Array, filters: Array, batch: int, dtype: np.dtype) -> Scratch:
    """Return one thread's memory.

    channels, filters: the tables of a program.
    batch: numbers of a cell, a multiple of LANES.
    """
    most = most_sources(channels, filters)
    links = channels[:, tables.C_PASSED_END] - channels[:, tables.C_PASSED_FIRST]
    links_most = int(links.max()) + 1
    own = int((channels[:, tables.C_END] - channels[:, tables.C_FIRST]).max()) + 1
    return Scratch(
        sources=np.zeros((2 * (most + own), 4), dtype),
        own=np.zeros((2, 4), dtype),
        passed=np.zeros((2 * links_most, 4), dtype),
        readers=np.zeros(most, dtype),
        products=np.zeros((links_most + most + own) * LANES, dtype),
        sums=np.zeros(2 * LANES),
        totals=np.zeros(own),
        centres=np.zeros(own),
        seen=np.zeros(own, np.int64),
        row=np.zeros(batch, dtype),
        maximum=np.zeros(batch, dtype),
        place=np.zeros(batch, np.int64),
        image_sums=np.zeros(4 * batch, dtype),
        image_totals=np.zeros(4 * batch),
    )
