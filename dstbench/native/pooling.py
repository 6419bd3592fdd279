"""Maxima over windows. The gradient goes to the first of equal maxima, as in torch."""

from typing import Any

from numba import njit

from dstbench.native.constants import OPTIONS
from dstbench.native.tables import (
    C_BASE,
    C_BASE_COLUMN_AXIS,
    C_BASE_COLUMNS,
    C_BASE_HEIGHT,
    C_BASE_ROW_AXIS,
    C_BASE_WIDTH,
    C_GRADIENT,
    C_HEIGHT,
    C_KIND,
    C_LEVEL,
    C_POOLED,
    C_POOLED_BY,
    C_SUMMED,
    C_VIEW_COLUMN,
    C_VIEW_ROW,
    C_VIEW_STEP_COLUMN,
    C_VIEW_STEP_ROW,
    C_WIDTH,
    C_WINDOW,
    CONSTANT,
    V_EDGE,
    V_HIGH,
    V_LOW,
    V_SCALE,
    V_SHIFT,
    W_COLUMNS,
    W_PADDING_COLUMN,
    W_PADDING_ROW,
    W_ROWS,
    W_STEP_COLUMN,
    W_STEP_ROW,
    X_CELL,
)


@njit(**OPTIONS)
def read_pixel(A: Any, n: int, y: int, x: int, out: Any) -> None:
    """Write channel n's values at a pixel, of all images."""
    if A.channels[n, C_KIND] == CONSTANT:
        level = A.levels[A.channels[n, C_BASE] + y * A.channels[n, C_WIDTH] + x]
        for i in range(A.batch[0]):
            out[i] = level
        return
    row = y * A.channels[n, C_VIEW_STEP_ROW] + A.channels[n, C_VIEW_ROW]
    column = x * A.channels[n, C_VIEW_STEP_COLUMN] + A.channels[n, C_VIEW_COLUMN]
    height, width = A.channels[n, C_BASE_HEIGHT], A.channels[n, C_BASE_WIDTH]
    if row < 0 or row >= height or column < 0 or column >= width:
        for i in range(A.batch[0]):
            out[i] = A.views[n, V_EDGE]
        return
    row = A.axes[A.channels[n, C_BASE_ROW_AXIS], X_CELL, row]
    column = A.axes[A.channels[n, C_BASE_COLUMN_AXIS], X_CELL, column]
    cell = row * A.channels[n, C_BASE_COLUMNS] + column
    base = A.channels[n, C_BASE] + cell * A.batch[1]
    scale, shift = A.views[n, V_SCALE], A.views[n, V_SHIFT]
    low, high = A.views[n, V_LOW], A.views[n, V_HIGH]
    for i in range(A.batch[0]):
        out[i] = min(max(scale * A.values[base + i] + shift, low), high)


@njit(**OPTIONS)
def _window(A: Any, n: int, y: int, x: int) -> tuple[int, int, int, int]:
    """Return the rows and columns (first, end, …) that a pixel of a maximum is taken over."""
    source, w = A.channels[n, C_POOLED], A.windows[A.channels[n, C_WINDOW]]
    top, left = y * w[W_STEP_ROW] - w[W_PADDING_ROW], x * w[W_STEP_COLUMN] - w[W_PADDING_COLUMN]
    return (
        max(top, 0),
        min(top + w[W_ROWS], A.channels[source, C_HEIGHT]),
        max(left, 0),
        min(left + w[W_COLUMNS], A.channels[source, C_WIDTH]),
    )


@njit(**OPTIONS)
def _maximum(A: Any, n: int, y: int, x: int, S: Any) -> None:
    """Write the maxima of a window, and at which pixels of the source they are, of all images."""
    source = A.channels[n, C_POOLED]
    width = A.channels[source, C_WIDTH]
    top, bottom, left, right = _window(A, n, y, x)
    for row in range(top, bottom):
        for column in range(left, right):
            read_pixel(A, source, row, column, S.row)
            first = row == top and column == left
            for i in range(A.batch[0]):
                if first or S.row[i] > S.maximum[i] or S.row[i] != S.row[i]:
                    S.maximum[i] = S.row[i]
                    S.place[i] = row * width + column


@njit(**OPTIONS)
def pool_forward(A: Any, n: int, S: Any) -> None:
    """Compute a channel that is the maximum of another one."""
    width, constant = A.channels[n, C_WIDTH], A.channels[n, C_KIND] == CONSTANT
    for y in range(A.channels[n, C_HEIGHT]):
        for x in range(width):
            _maximum(A, n, y, x, S)
            if constant:
                A.levels[A.channels[n, C_LEVEL] + y * width + x] = S.maximum[0]
                continue
            base = A.channels[n, C_BASE] + (y * width + x) * A.batch[1]
            for i in range(A.batch[0]):
                A.values[base + i] = S.maximum[i]


@njit(**OPTIONS)
def pool_backward(A: Any, n: int, S: Any) -> None:
    """Write what channel n gets from its maxima: in its gradient, or in its summed one."""
    pooled = A.channels[n, C_POOLED_BY]
    height, width = A.channels[n, C_HEIGHT], A.channels[n, C_WIDTH]
    constant, batch = A.channels[n, C_KIND] == CONSTANT, A.batch[1]
    if constant:
        for at in range(height * width):
            A.levels[A.channels[n, C_SUMMED] + at] = 0
    else:
        for at in range(height * width * batch):
            A.gradients[A.channels[n, C_GRADIENT] + at] = 0
    columns = A.channels[pooled, C_WIDTH]
    for y in range(A.channels[pooled, C_HEIGHT]):
        for x in range(columns):
            _maximum(A, pooled, y, x, S)
            at = y * columns + x
            if constant:
                g = A.levels[A.channels[pooled, C_SUMMED] + at]
                A.levels[A.channels[n, C_SUMMED] + S.place[0]] += g
                continue
            source = A.channels[pooled, C_GRADIENT] + at * batch
            for i in range(A.batch[0]):
                out = A.channels[n, C_GRADIENT] + S.place[i] * batch + i
                A.gradients[out] += A.gradients[source + i]
