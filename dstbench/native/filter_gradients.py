"""Gradients of one live filter: of its batch norm, and what its sources get.

With g the gradient after the activation, S = Σ g and Q = Σ g · (x − mean), over pixels and images,
a batch norm of a stored result x has dweight = Q / σ, dbias = S, and with u = weight / σ

    dx = u · g − u · Q / (N σ²) · (x − mean) − u · S / N.

A filter with one tap w on a channel x has the statistics w · mean and w² · var. Then x gets

    w · u · g − u · w³ · Q / (N σ²) · (x − mean) − w · u · S / N,

and dw = u · Q · eps / σ². This divides by nothing that may be 0.
"""

from typing import Any

from numba import njit

from dstbench.native import constants
from dstbench.native.constants import OPTIONS
from dstbench.native.norm_loop import norm_back
from dstbench.native.sources import number
from dstbench.native.tables import (
    C_COLUMN_AXIS,
    C_COLUMNS,
    C_GRADIENT,
    C_HEIGHT,
    C_ROW_AXIS,
    C_ROWS,
    C_WIDTH,
    F_GRADIENT,
    F_NORM,
    F_ONE,
    F_PLANE,
    F_SUMMED,
    F_TAP,
    N_BIAS_GRADIENT,
    N_CENTRE,
    N_EPS,
    N_IN_GRADIENT,
    N_IN_LEVEL,
    N_IN_VALUE,
    N_INVERSE,
    N_WEIGHT,
    N_WEIGHT_GRADIENT,
    X_REPEATS,
)


@njit(**OPTIONS)
def _norm(
    A: Any, n: int, out: int, source: int, plane: int, scale: float, slope: float, level: float
) -> None:
    """Gradient of a convolution's result: scale · g + slope · x + level, summed over each cell.

    out, source: where it and g are, sums over the pixels of each cell. plane: where x is.
    """
    c = A.channels[n]
    cells, at_once = c[C_ROWS] * c[C_COLUMNS], 1
    if cells == c[C_HEIGHT] * c[C_WIDTH]:
        at_once = cells
    for first in range(0, cells, at_once):
        row, column, at = first // c[C_COLUMNS], first % c[C_COLUMNS], first * A.batch[1]
        repeats = A.axes[c[C_ROW_AXIS], X_REPEATS, row]
        repeats *= A.axes[c[C_COLUMN_AXIS], X_REPEATS, column]
        norm_back(
            A.gradients,
            out + at,
            source + at,
            at_once,
            A.values,
            plane + at,
            A.batch[0],
            A.batch[1],
            number(A, scale),
            number(A, repeats * slope),
            number(A, repeats * level),
        )


@njit(**OPTIONS)
def filter_gradients(A: Any, n: int, f: int, pixels: int, total: float, product: float) -> None:
    """Gradients of a live filter, and what its sources get.

    total: S. product: Q.
    """
    A.numbers[f, N_BIAS_GRADIENT] = total
    scale, slope, level = 1.0, 0.0, 0.0  # without a batch norm, the gradient stays as it is
    if A.filters[f, F_NORM]:
        inverse, count = A.numbers[f, N_INVERSE], float(pixels * A.batch[0])
        u, centre = A.numbers[f, N_WEIGHT] * inverse, A.numbers[f, N_CENTRE]
        per_value = u * inverse * inverse * product / count
        if A.filters[f, F_ONE]:
            tap = A.filters[f, F_TAP]
            w = float(A.weights[tap])
            A.numbers[f, N_WEIGHT_GRADIENT] = product * inverse * w
            A.tap_gradients[tap] = u * product * A.numbers[f, N_EPS] * inverse * inverse
            slope = -per_value * w * w * w
            A.numbers[f, N_IN_GRADIENT] = w * u
            A.numbers[f, N_IN_VALUE] = slope
            A.numbers[f, N_IN_LEVEL] = -w * u * total / count - slope * centre
            return
        A.numbers[f, N_WEIGHT_GRADIENT] = product * inverse
        scale, slope = u, -per_value
        level = -u * total / count - slope * centre
    gradient, out = A.channels[n, C_GRADIENT], A.filters[f, F_GRADIENT]
    if A.filters[f, F_NORM] or out != gradient:
        _norm(A, n, out, gradient, A.filters[f, F_PLANE], scale, slope, level)
    if A.filters[f, F_SUMMED] >= 0:
        constants.sum_images(A, n, out, A.filters[f, F_SUMMED])
