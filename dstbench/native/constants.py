"""Channels and filters that are the same for every image: planes of one number a pixel."""

from typing import Any

from numba import njit

from dstbench.native.tables import (
    C_BASE,
    C_COLUMN_AXIS,
    C_COLUMNS,
    C_DYNAMIC_BY,
    C_HEIGHT,
    C_INCOMING,
    C_NEXT,
    C_POOLED_BY,
    C_READ_END,
    C_READ_FIRST,
    C_RELU,
    C_ROW_AXIS,
    C_ROWS,
    C_SUMMED,
    C_WIDTH,
    F_CHANNEL,
    F_LEVEL,
    F_NORM,
    F_STEP_COLUMN,
    F_STEP_ROW,
    F_SUMMED,
    F_TAP_END,
    F_TAP_FIXED,
    N_BIAS_GRADIENT,
    N_CENTRE,
    N_INVERSE,
    N_WEIGHT,
    N_WEIGHT_GRADIENT,
    R_COLUMN,
    R_FILTER,
    R_ROW,
    R_TAP,
    T_CHANNEL,
    T_COLUMN,
    T_ROW,
    X_FIRST,
)

# Counting references is slow: it is atomic. Only the entry points are called from Python or C, and
# wrappers of all others are a fifth of the time that compiling takes.
OPTIONS: Any = {
    "nogil": True,
    "_nrt": False,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
_IN_VECTORS: Any = {**OPTIONS, "fastmath": {"reassoc"}}  # a sum's order is left to the compiler


@njit(**OPTIONS)
def convolve(A: Any, f: int) -> None:
    """Write what the constant channels add to a filter."""
    n = A.filters[f, F_CHANNEL]
    height, width = A.channels[n, C_HEIGHT], A.channels[n, C_WIDTH]
    level = A.filters[f, F_LEVEL]
    for at in range(level, level + height * width):
        A.levels[at] = 0
    for t in range(A.filters[f, F_TAP_FIXED], A.filters[f, F_TAP_END]):
        source, weight = A.taps[t, T_CHANNEL], A.weights[t]
        rows, columns = A.channels[source, C_HEIGHT], A.channels[source, C_WIDTH]
        base = A.channels[source, C_BASE]
        for y in range(height):
            row = y * A.filters[f, F_STEP_ROW] + A.taps[t, T_ROW]
            if row < 0 or row >= rows:
                continue
            for x in range(width):
                column = x * A.filters[f, F_STEP_COLUMN] + A.taps[t, T_COLUMN]
                if 0 <= column < columns:
                    seen = A.levels[base + row * columns + column]
                    A.levels[level + y * width + x] += weight * seen


@njit(**_IN_VECTORS)
def sum_images(A: Any, n: int, plane: int, out: int) -> None:
    """Sum the gradients of a plane of channel n over the images, into the levels.

    The first pixel of a cell gets the sum of all its pixels, the others 0. Constant channels are
    alike at these pixels, too, so that what is computed from it stays the same.
    """
    c = A.channels[n]
    rows, columns = A.axes[c[C_ROW_AXIS], X_FIRST], A.axes[c[C_COLUMN_AXIS], X_FIRST]
    for x in range(out, out + c[C_HEIGHT] * c[C_WIDTH]):
        A.levels[x] = 0
    for row in range(c[C_ROWS]):
        for column in range(c[C_COLUMNS]):
            total, first = 0.0, plane + (row * c[C_COLUMNS] + column) * A.batch[1]
            for i in range(A.batch[0]):
                total += A.gradients[first + i]
            A.levels[out + rows[row] * c[C_WIDTH] + columns[column]] = total


@njit(**OPTIONS)
def filter_backward(A: Any, f: int, summed: int, pixels: int, total: float) -> None:
    """Gradients of a filter on constant channels only.

    summed: the gradients of its channel, summed over the images.
    total: their sum over the pixels.
    """
    level, out = A.filters[f, F_LEVEL], A.filters[f, F_SUMMED]
    centre, inverse = A.numbers[f, N_CENTRE], A.numbers[f, N_INVERSE]
    product = 0.0
    for x in range(pixels):
        product += A.levels[summed + x] * (A.levels[level + x] - centre)
    A.numbers[f, N_BIAS_GRADIENT] = total
    scale, slope, shift = 1.0, 0.0, 0.0
    if A.filters[f, F_NORM]:
        A.numbers[f, N_WEIGHT_GRADIENT] = product * inverse
        scale = A.numbers[f, N_WEIGHT] * inverse
        slope = -scale * inverse * inverse * product / pixels
        shift = -scale * total / pixels - slope * centre
    for x in range(pixels):
        A.levels[out + x] = scale * A.levels[summed + x] + slope * A.levels[level + x] + shift


@njit(**OPTIONS)
def _arriving(A: Any, n: int, pixels: int, out: int) -> None:
    """Write the gradient that arrives through a constant channel's link, or from the loss."""
    if A.channels[n, C_POOLED_BY] >= 0 or A.channels[n, C_DYNAMIC_BY] >= 0:
        return  # it is there already
    following = A.channels[n, C_NEXT]
    if following >= 0:
        for x in range(pixels):
            A.levels[out + x] = A.levels[A.channels[following, C_SUMMED] + x]
    elif A.channels[n, C_INCOMING] >= 0:
        sum_images(A, n, A.channels[n, C_INCOMING], out)
    else:
        for x in range(pixels):
            A.levels[out + x] = 0


@njit(**OPTIONS)
def channel_backward(A: Any, n: int) -> float:
    """Gradient of a constant channel, summed over the images, and of the taps that read it.

    Returns its sum over the pixels.
    """
    height, width = A.channels[n, C_HEIGHT], A.channels[n, C_WIDTH]
    out, base = A.channels[n, C_SUMMED], A.channels[n, C_BASE]
    _arriving(A, n, height * width, out)
    for r in range(A.channels[n, C_READ_FIRST], A.channels[n, C_READ_END]):
        f, t = A.readers[r, R_FILTER], A.readers[r, R_TAP]
        reader = A.filters[f, F_CHANNEL]
        rows, columns = A.channels[reader, C_HEIGHT], A.channels[reader, C_WIDTH]
        summed, weight, found = A.filters[f, F_SUMMED], A.weights[t], 0.0
        for y in range(rows):
            row = y * A.filters[f, F_STEP_ROW] + A.readers[r, R_ROW]
            if row < 0 or row >= height:
                continue
            for x in range(columns):
                column = x * A.filters[f, F_STEP_COLUMN] + A.readers[r, R_COLUMN]
                if 0 <= column < width:
                    g = A.levels[summed + y * columns + x]
                    at = row * width + column
                    A.levels[out + at] += weight * g
                    found += g * A.levels[base + at]
        A.tap_gradients[t] += found
    total = 0.0
    for x in range(height * width):
        if A.channels[n, C_RELU] and not A.levels[base + x] > 0:
            A.levels[out + x] = 0
        total += A.levels[out + x]
    return total
