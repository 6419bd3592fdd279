"""Tasks of the backward pass: one computes the gradient of one channel, and of its filters."""

from typing import Any

from numba import njit

from dstbench.native import constants
from dstbench.native.channel_gradient import channel_gradient
from dstbench.native.constants import OPTIONS
from dstbench.native.dynamic import constant_backward, dynamic_backward, through_backward
from dstbench.native.filter_gradients import filter_gradients
from dstbench.native.pooling import pool_backward
from dstbench.native.tables import (
    C_ADDEND,
    C_DYNAMIC,
    C_DYNAMIC_BY,
    C_END,
    C_FIRST,
    C_GRADIENT,
    C_HEIGHT,
    C_INCOMING,
    C_KIND,
    C_PASSED_END,
    C_PASSED_FIRST,
    C_POOLED_BY,
    C_READ_END,
    C_READ_FIRST,
    C_SUMMED,
    C_THROUGH,
    C_WIDTH,
    CONSTANT,
    EMPTY,
    F_KIND,
    FIXED,
    IMAGE,
    N_BIAS_GRADIENT,
    N_WEIGHT_GRADIENT,
)


@njit(**OPTIONS)
def backward(A: Any, n: int, S: Any) -> None:
    """Compute the gradient of channel n, and the gradients of its filters."""
    S.totals[:] = 0
    if A.channels[n, C_POOLED_BY] >= 0:
        pool_backward(A, n, S)
    if A.channels[n, C_DYNAMIC] >= 0:
        _dynamic(A, n, S)
        return
    if A.channels[n, C_THROUGH]:
        total = through_backward(A, n)
    elif A.channels[n, C_KIND] == CONSTANT:
        if A.channels[n, C_DYNAMIC_BY] >= 0:
            constant_backward(A, n)
        total = constants.channel_backward(A, n)
    else:
        total = channel_gradient(A, n, S)
    if A.channels[n, C_KIND] == IMAGE:
        return
    pixels = A.channels[n, C_HEIGHT] * A.channels[n, C_WIDTH]
    summed = A.channels[n, C_SUMMED]
    if A.channels[n, C_KIND] != CONSTANT and summed >= 0:
        constants.sum_images(A, n, A.channels[n, C_GRADIENT], summed)
    k = 0
    for f in range(A.channels[n, C_FIRST], A.channels[n, C_END]):
        if A.filters[f, F_KIND] == EMPTY:
            A.numbers[f, N_BIAS_GRADIENT] = total
            A.numbers[f, N_WEIGHT_GRADIENT] = 0
        elif A.filters[f, F_KIND] == FIXED:
            constants.filter_backward(A, f, summed, pixels, total)
        else:
            filter_gradients(A, n, f, pixels, total, S.totals[k])
            k += 1


@njit(**OPTIONS)
def _dynamic(A: Any, n: int, S: Any) -> None:
    """Gradients of a dynamic activation: of its coefficients, and of what it reads."""
    read = A.channels[n, C_READ_END] > A.channels[n, C_READ_FIRST]
    read |= A.channels[n, C_PASSED_END] > A.channels[n, C_PASSED_FIRST]
    if read or A.channels[n, C_INCOMING] != A.channels[n, C_GRADIENT]:
        channel_gradient(A, n, S)
        dynamic_backward(A, n, -1, S)
    else:  # its gradient is in its place already
        dynamic_backward(A, n, A.channels[n, C_ADDEND], S)
