"""Tasks of dynamic activations: of what they read, and of the channels themselves.

A channel's coefficients depend on the means of all channels of the node that it reads, so all
threads wait between both; there the modules compute the coefficients (`dynamic_modules.py`).
"""

from typing import Any

from numba import njit

from dstbench.native import constants
from dstbench.native.constants import OPTIONS
from dstbench.native.dynamic_loops import (
    activate,
    activation_back,
    coefficients_back,
    sum_pixels,
)
from dstbench.native.sources import lanes, number, put_number, put_source
from dstbench.native.tables import (
    C_BASE,
    C_DYNAMIC,
    C_DYNAMIC_BY,
    C_GRADIENT,
    C_HEIGHT,
    C_KIND,
    C_ROW,
    C_SEEN,
    C_SEEN_END,
    C_SUMMED,
    C_WIDTH,
    CONSTANT,
    V_FRACTION,
)
from dstbench.native.vectors import LANES


@njit(**OPTIONS)
def _put_source(A: Any, n: int, S: Any) -> None:
    """Parameters of channel n as the one source of its zones; a constant one is a level alone."""
    if A.channels[n, C_KIND] == CONSTANT:
        put_number(S.sources, 1, 0.0)
    else:
        put_source(S.sources, 0, A, n, 1.0, 0.0)


@njit(**OPTIONS)
def mean_forward(A: Any, n: int, S: Any) -> None:
    """Compute each image's mean of channel n, which a dynamic activation reads."""
    batch = A.batch[1]
    _put_source(A, n, S)
    S.image_sums[:] = 0
    S.image_totals[:] = 0
    for zone in range(A.channels[n, C_SEEN], A.channels[n, C_SEEN_END]):
        sum_pixels(
            A.values, A.zones, zone, A.entries, S.sources, A.levels, S.image_sums, S.image_totals,
            batch,
        )  # fmt: skip
    pixels = A.channels[n, C_HEIGHT] * A.channels[n, C_WIDTH]
    row = A.channels[n, C_ROW]
    for i in range(A.batch[0]):
        A.means[row, i] = S.image_totals[i] / pixels


@njit(**OPTIONS)
def dynamic_forward(A: Any, n: int, S: Any) -> None:
    """Compute channel n, a dynamic activation."""
    x, rows, batch = A.channels[n, C_DYNAMIC], A.means.shape[0], A.batch[1]
    _put_source(A, x, S)
    for zone in range(A.channels[x, C_SEEN], A.channels[x, C_SEEN_END]):
        activate(
            A.values,
            A.zones,
            zone,
            A.entries,
            S.sources,
            A.levels,
            A.coefficients,
            A.channels[n, C_ROW] * batch,
            rows * batch,
            number(A, A.views[n, V_FRACTION]),
            A.channels[n, C_BASE],
        )


@njit(**OPTIONS)
def coefficients_backward(A: Any, n: int, S: Any) -> None:
    """Compute the gradients of channel n's coefficients, for each image."""
    x, rows, batch = A.channels[n, C_DYNAMIC], A.means.shape[0], A.batch[1]
    row = A.channels[n, C_ROW]
    _put_source(A, x, S)
    S.image_sums[:] = 0
    S.image_totals[:] = 0
    for zone in range(A.channels[x, C_SEEN], A.channels[x, C_SEEN_END]):
        coefficients_back(
            A.values,
            A.zones,
            zone,
            A.entries,
            S.sources,
            A.levels,
            A.coefficients,
            row * batch,
            rows * batch,
            A.gradients,
            A.channels[n, C_GRADIENT],
            S.image_sums,
            S.image_totals,
            batch,
        )
    for k in range(4):
        for i in range(A.batch[0]):
            A.coefficient_gradients[k, row, i] = S.image_totals[k * batch + i]


@njit(**OPTIONS)
def dynamic_backward(A: Any, n: int, S: Any) -> float:
    """Write what channel n gets from its dynamic activation, in its gradient or its summed one.

    Returns its sum over pixels and images.
    """
    y, rows, batch = A.channels[n, C_DYNAMIC_BY], A.means.shape[0], A.batch[1]
    row, source = A.channels[n, C_ROW], A.channels[y, C_GRADIENT]
    constant = A.channels[n, C_KIND] == CONSTANT
    if constant and source < 0:
        return _fill_summed(A, n)
    out = source if constant else A.channels[n, C_GRADIENT]
    _put_source(A, n, S)
    S.sums[:LANES] = 0
    for zone in range(A.channels[n, C_SEEN], A.channels[n, C_SEEN_END]):
        activation_back(
            A.values,
            A.zones,
            zone,
            A.entries,
            S.sources,
            A.levels,
            A.coefficients,
            row * batch,
            rows * batch,
            number(A, A.views[y, V_FRACTION]),
            A.gradients,
            out,
            source,
            source >= 0,
            A.mean_gradients,
            row * batch,
            S.sums,
        )
    if constant:
        pixels = A.channels[n, C_HEIGHT] * A.channels[n, C_WIDTH]
        constants.sum_images(A, out, pixels, A.channels[n, C_SUMMED])
    return lanes(S.sums, 0)


@njit(**OPTIONS)
def _fill_summed(A: Any, n: int) -> float:
    """The same of a constant channel whose activation nothing reads."""
    each = 0.0
    for i in range(A.batch[0]):
        each += A.mean_gradients[A.channels[n, C_ROW], i]
    pixels, out = A.channels[n, C_HEIGHT] * A.channels[n, C_WIDTH], A.channels[n, C_SUMMED]
    for at in range(out, out + pixels):
        A.levels[at] = each
    return each * pixels
