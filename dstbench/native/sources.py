"""How a channel is read: rows of parameters for the loops, and small numbers that tasks share."""

from typing import Any

from numba import njit

from dstbench.compiled.lanes import LANES
from dstbench.native.constants import OPTIONS
from dstbench.native.tables import (
    BIG,
    C_KIND,
    STORED,
    V_EDGE,
    V_HIGH,
    V_LOW,
    V_SCALE,
    V_SHIFT,
)


@njit(**OPTIONS)
def number(A: Any, x: float) -> Any:
    """Return x in the arenas' number type."""
    return A.values.dtype.type(x)


@njit(**OPTIONS)
def lanes(rows: Any, row: int) -> float:
    """Return the sum of a row of LANES numbers."""
    total = 0.0
    for i in range(LANES):
        total += rows[row * LANES + i]
    return total


@njit(**OPTIONS)
def put_source(parameters: Any, k: int, A: Any, n: int, weight: float, less: float) -> None:
    """Write rows 2k and 2k + 1: weight · channel n − less, inside and past the edge of its base."""
    low, high = weight * A.views[n, V_LOW] - less, weight * A.views[n, V_HIGH] - less
    if weight < 0:
        low, high = high, low
    parameters[2 * k, 0] = weight * A.views[n, V_SCALE]
    parameters[2 * k, 1] = weight * A.views[n, V_SHIFT] - less
    parameters[2 * k, 2] = low
    parameters[2 * k, 3] = high
    put_number(parameters, 2 * k + 1, weight * A.views[n, V_EDGE] - less)


@njit(**OPTIONS)
def put_number(parameters: Any, row: int, value: float) -> None:
    """Write the parameters of a source that is a number."""
    parameters[row, 0] = 0
    parameters[row, 1] = value
    parameters[row, 2] = -BIG
    parameters[row, 3] = BIG


@njit(**OPTIONS)
def is_stored(A: Any, n: int) -> bool:
    """Return whether a channel's values are in memory as they are."""
    return A.channels[n, C_KIND] <= STORED
