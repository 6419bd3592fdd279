"""Tasks of dynamic activations: of what they read, and of the channels themselves.

A channel's coefficients depend on the means of all channels of the node that it reads, so all
threads wait between both; there the modules compute the coefficients (`dynamic_modules.py`).

Backward, the task of the activation y computes the gradients of its coefficients, and replaces its
gradient by that of what it reads, x, without the part of the means. That part is one number an
image for all pixels, known only when all threads have waited again; the task that reads the
gradient next adds it (C_ADDEND).
"""

from typing import Any

from numba import njit

from dstbench.compiled.lanes import LANES
from dstbench.native import constants
from dstbench.native.constants import OPTIONS
from dstbench.native.dynamic_loops import activate, activation_back, sum_pixels
from dstbench.native.sources import lanes, number, put_number, put_source
from dstbench.native.tables import (
    C_BASE,
    C_COEFFICIENT_STEP,
    C_COEFFICIENTS,
    C_DYNAMIC,
    C_DYNAMIC_BY,
    C_GRADIENT,
    C_HEIGHT,
    C_KIND,
    C_LINK,
    C_ROW,
    C_SEEN,
    C_SEEN_END,
    C_SUMMED,
    C_SUMS,
    C_WIDTH,
    CONSTANT,
    V_FRACTION,
    V_SHIFT,
    VIEW,
    Z_REPEATS,
)


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
    row, link = A.channels[n, C_ROW], A.channels[n, C_LINK]
    if A.channels[n, C_KIND] == VIEW and link >= 0 and A.channels[link, C_SUMS]:
        shift, other = A.views[n, V_SHIFT], A.channels[link, C_ROW]
        for i in range(A.batch[0]):
            A.means[row, i] = A.own_means[other, i] + shift
        return
    pixels = A.channels[n, C_HEIGHT] * A.channels[n, C_WIDTH]
    if A.channels[n, C_KIND] == CONSTANT:
        total, base = 0.0, A.channels[n, C_BASE]
        for at in range(base, base + pixels):
            total += A.levels[at]
        A.means[row, :] = total / pixels
        return
    _put_source(A, n, S)
    S.image_sums[:] = 0
    S.image_totals[:] = 0
    for zone in range(A.channels[n, C_SEEN], A.channels[n, C_SEEN_END]):
        sum_pixels(
            A.values,
            A.zones,
            zone,
            A.entries,
            S.sources,
            A.levels,
            S.image_sums,
            S.image_totals,
            A.batch[1],
            number(A, A.zones[zone, Z_REPEATS]),
        )
    for i in range(A.batch[0]):
        A.means[row, i] = S.image_totals[i] / pixels


@njit(**OPTIONS)
def dynamic_forward(A: Any, n: int, S: Any) -> None:
    """Compute channel n, a dynamic activation."""
    x, row, batch = A.channels[n, C_DYNAMIC], A.channels[n, C_ROW], A.batch[1]
    _put_source(A, x, S)
    S.image_sums[:] = 0
    S.image_totals[:] = 0
    for zone in range(A.channels[x, C_SEEN], A.channels[x, C_SEEN_END]):
        activate(
            A.values,
            A.zones,
            zone,
            A.entries,
            S.sources,
            A.levels,
            A.coefficients,
            A.channels[n, C_COEFFICIENTS] * batch,
            A.channels[n, C_COEFFICIENT_STEP] * batch,
            number(A, A.views[n, V_FRACTION]),
            A.channels[n, C_BASE],
            S.image_sums,
            S.image_totals,
            batch,
            A.channels[n, C_SUMS] > 0,
            number(A, A.zones[zone, Z_REPEATS]),
        )
    if not A.channels[n, C_SUMS]:
        return
    pixels = A.channels[n, C_HEIGHT] * A.channels[n, C_WIDTH]
    for i in range(A.batch[0]):
        A.own_means[row, i] = S.image_totals[i] / pixels


@njit(**OPTIONS)
def dynamic_backward(A: Any, n: int, addend: int, S: Any) -> None:
    """Gradients of channel n's coefficients, and of what it reads, in the place of its own.

    addend: the row of mean gradients that its own gradient lacks, or -1.
    """
    x, batch = A.channels[n, C_DYNAMIC], A.batch[1]
    _put_source(A, x, S)
    S.image_sums[:] = 0
    S.image_totals[:] = 0
    S.sums[:LANES] = 0
    for zone in range(A.channels[x, C_SEEN], A.channels[x, C_SEEN_END]):
        activation_back(
            A.values,
            A.zones,
            zone,
            A.entries,
            S.sources,
            A.levels,
            A.coefficients,
            A.channels[n, C_COEFFICIENTS] * batch,
            A.channels[n, C_COEFFICIENT_STEP] * batch,
            number(A, A.views[n, V_FRACTION]),
            A.gradients,
            A.channels[n, C_GRADIENT],
            A.mean_gradients,
            addend * batch,
            S.image_sums,
            S.image_totals,
            batch,
            S.sums,
            number(A, A.zones[zone, Z_REPEATS]),
        )
    A.gradient_sums[A.channels[n, C_ROW]] = lanes(S.sums, 0)
    first, step = A.channels[n, C_COEFFICIENTS], A.channels[n, C_COEFFICIENT_STEP]
    for k in range(4):
        for i in range(A.batch[0]):
            A.coefficient_gradients[first + k * step, i] = S.image_totals[k * batch + i]


@njit(**OPTIONS)
def _mean_gradient(A: Any, n: int) -> float:
    """Return what the means add to the gradient of a pixel of channel n, over all images."""
    total = 0.0
    for i in range(A.batch[0]):
        total += A.mean_gradients[A.channels[n, C_ROW], i]
    return total


@njit(**OPTIONS)
def through_backward(A: Any, n: int) -> float:
    """Return the sum of the gradient of a channel that is in the place of its activation's."""
    pixels = A.channels[n, C_HEIGHT] * A.channels[n, C_WIDTH]
    return A.gradient_sums[A.channels[n, C_ROW]] + pixels * _mean_gradient(A, n)


@njit(**OPTIONS)
def constant_backward(A: Any, n: int) -> None:
    """Write what a constant channel gets from its dynamic activation, summed over the images."""
    pixels, out = A.channels[n, C_HEIGHT] * A.channels[n, C_WIDTH], A.channels[n, C_SUMMED]
    gradient = A.channels[A.channels[n, C_DYNAMIC_BY], C_GRADIENT]
    added = _mean_gradient(A, n)
    for at in range(out, out + pixels):
        A.levels[at] = 0
    if gradient >= 0:
        constants.sum_images(A, n, gradient, out)
    for at in range(out, out + pixels):
        A.levels[at] += added
