"""The result of one filter, its statistics, and what its batch norm makes of it."""

import math
from typing import Any

from numba import njit

from dstbench.native import constants
from dstbench.native.constants import OPTIONS
from dstbench.native.loops import only_sums, store_sum
from dstbench.native.sources import is_stored, lanes, number, put_source
from dstbench.native.tables import (
    C_HEIGHT,
    C_WIDTH,
    F_CHANNEL,
    F_KIND,
    F_LEVEL,
    F_NORM,
    F_ONE,
    F_TAP,
    F_TAP_END,
    F_TAP_FIXED,
    F_ZONES,
    F_ZONES_END,
    FIXED,
    LIVE,
    N_BIAS,
    N_CENTRE,
    N_EPS,
    N_INVERSE,
    N_MEAN,
    N_RUNNING_MEAN,
    N_RUNNING_VAR,
    N_VAR,
    N_WEIGHT,
    T_CHANNEL,
    Z_PIXELS,
    Z_REPEATS,
)


@njit(**OPTIONS)
def scale_of(A: Any, f: int) -> float:
    """Return what a filter's result is multiplied by."""
    if A.filters[f, F_NORM]:
        return A.numbers[f, N_WEIGHT] * A.numbers[f, N_INVERSE]
    return 1.0


@njit(**OPTIONS)
def empty_level(A: Any, f: int) -> float:
    """Return the value of a filter without taps."""
    level = A.numbers[f, N_BIAS]
    if A.evaluate[0] and A.filters[f, F_NORM]:
        spread = math.sqrt(A.numbers[f, N_RUNNING_VAR] + A.numbers[f, N_EPS])
        level -= A.numbers[f, N_WEIGHT] * A.numbers[f, N_RUNNING_MEAN] / spread
    return level


@njit(**OPTIONS)
def _put_taps(A: Any, f: int, S: Any) -> None:
    """Parameters of a filter's taps: of one-tap filters the channel, else channel · weight."""
    first = A.filters[f, F_TAP]
    for t in range(first, A.filters[f, F_TAP_FIXED]):
        n = A.taps[t, T_CHANNEL]
        if A.filters[f, F_ONE]:
            put_source(S.sources, t - first, A, n, 1.0, 0.0)
        else:
            put_source(S.sources, t - first, A, n, A.weights[t], 0.0)
            if is_stored(A, n):
                S.sources[2 * (t - first), 0] = A.weights[t]


@njit(**OPTIONS)
def _frozen(A: Any, f: int, S: Any) -> None:
    """A filter whose statistics are given, or that has no batch norm."""
    if A.filters[f, F_NORM]:
        A.numbers[f, N_MEAN] = A.numbers[f, N_RUNNING_MEAN]
        A.numbers[f, N_INVERSE] = 1 / math.sqrt(A.numbers[f, N_RUNNING_VAR] + A.numbers[f, N_EPS])
    else:
        A.numbers[f, N_MEAN] = 0
        A.numbers[f, N_INVERSE] = 1
    A.numbers[f, N_CENTRE] = A.numbers[f, N_MEAN]
    if A.filters[f, F_TAP_FIXED] < A.filters[f, F_TAP_END]:
        constants.convolve(A, f)
    if A.filters[f, F_KIND] == LIVE and not A.filters[f, F_ONE]:
        _put_taps(A, f, S)
        for zone in range(A.filters[f, F_ZONES] + 1, A.filters[f, F_ZONES_END]):
            store_sum(A.values, A.zones, zone, A.entries, S.sources, A.levels, number(A, 0), S.sums)


@njit(**OPTIONS)
def _fixed_statistics(A: Any, f: int) -> None:
    """Mean and variance of a filter on constant channels, over its pixels."""
    constants.convolve(A, f)
    n, level = A.filters[f, F_CHANNEL], A.filters[f, F_LEVEL]
    pixels = A.channels[n, C_HEIGHT] * A.channels[n, C_WIDTH]
    total, squares = 0.0, 0.0
    for x in range(pixels):
        total += A.levels[level + x]
    mean = total / pixels
    for x in range(pixels):
        squares += (A.levels[level + x] - mean) ** 2
    A.numbers[f, N_MEAN] = mean
    A.numbers[f, N_CENTRE] = mean
    A.numbers[f, N_VAR] = squares / pixels
    A.numbers[f, N_INVERSE] = 1 / math.sqrt(squares / pixels + A.numbers[f, N_EPS])


@njit(**OPTIONS)
def _statistics(A: Any, f: int, S: Any) -> None:
    """Mean and variance of a filter on live channels, and its plane if it is stored.

    Its first zone is one cell, whose mean is subtracted everywhere: so squares lose no digits. A
    one-tap filter's are those of the channel, times the weight and its square.
    """
    n, one, first = A.filters[f, F_CHANNEL], A.filters[f, F_ONE], A.filters[f, F_TAP]
    count = A.channels[n, C_HEIGHT] * A.channels[n, C_WIDTH] * A.batch[0]
    if A.filters[f, F_TAP_FIXED] < A.filters[f, F_TAP_END]:
        constants.convolve(A, f)
    _put_taps(A, f, S)
    shift, total, squares, seen = number(A, 0.0), 0.0, 0.0, 0
    for zone in range(A.filters[f, F_ZONES], A.filters[f, F_ZONES_END]):
        S.sums[:] = 0
        if one:
            only_sums(A.values, A.zones, zone, A.entries, S.sources, A.levels, number(A, 0), S.sums)
        else:
            store_sum(A.values, A.zones, zone, A.entries, S.sources, A.levels, shift, S.sums)
        if zone == A.filters[f, F_ZONES]:
            shift = number(A, lanes(S.sums, 0) / A.batch[0])
            if one:
                put_source(S.sources, 0, A, A.taps[first, T_CHANNEL], 1.0, shift)
        else:
            repeats = A.zones[zone, Z_REPEATS]
            total += repeats * lanes(S.sums, 0)
            squares += repeats * lanes(S.sums, 1)
            seen += A.zones[zone, Z_PIXELS] * A.batch[0]
    if one:  # where the tap sees nothing, the channel is 0
        total -= (count - seen) * float(shift)
        squares += (count - seen) * float(shift) ** 2
    mean = total / count
    var = max(squares / count - mean * mean, 0.0)
    mean += shift
    A.numbers[f, N_CENTRE] = mean
    if one:
        weight = float(A.weights[first])
        mean, var = mean * weight, var * weight * weight
    A.numbers[f, N_MEAN] = mean
    A.numbers[f, N_VAR] = var
    A.numbers[f, N_INVERSE] = 1 / math.sqrt(var + A.numbers[f, N_EPS])
    if not one:
        _recentre(A, f, shift)


@njit(**OPTIONS)
def _recentre(A: Any, f: int, shift: float) -> None:
    """What is stored is less by the shift; so is its mean."""
    A.numbers[f, N_CENTRE] -= shift


@njit(**OPTIONS)
def filter_result(A: Any, f: int, S: Any) -> None:
    if A.evaluate[0] or not A.filters[f, F_NORM]:
        _frozen(A, f, S)
    elif A.filters[f, F_KIND] == FIXED:
        _fixed_statistics(A, f)
    else:
        _statistics(A, f, S)
