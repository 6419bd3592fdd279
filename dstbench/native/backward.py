"""Tasks of the backward pass: one computes the gradient of one channel, and of its filters.

With g the gradient after the activation, S = Σ g and Q = Σ g · (x − mean), over pixels and images,
a batch norm of a stored result x has dweight = Q / σ, dbias = S, and with u = weight / σ

    dx = u · g − u · Q / (N σ²) · (x − mean) − u · S / N.

A filter with one tap w on a channel x has the statistics w · mean and w² · var. Then x gets

    w · u · g − u · w³ · Q / (N σ²) · (x − mean) − w · u · S / N,

and dw = u · Q · eps / σ². This divides by nothing that may be 0.
"""

from typing import Any

from numba import njit

from dstbench.compiled.lanes import LANES
from dstbench.native import constants
from dstbench.native.backward_loop import back
from dstbench.native.constants import OPTIONS
from dstbench.native.dynamic import constant_backward, dynamic_backward, through_backward
from dstbench.native.norm_loop import norm_back
from dstbench.native.pooling import pool_backward
from dstbench.native.sources import lanes, number, put_number, put_source
from dstbench.native.tables import (
    BIG,
    C_ADDEND,
    C_BACK,
    C_BACK_END,
    C_COLUMN_AXIS,
    C_COLUMNS,
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
    C_READ_STORED,
    C_RELU,
    C_ROW_AXIS,
    C_ROWS,
    C_SUMMED,
    C_THROUGH,
    C_WIDTH,
    CONSTANT,
    E_PARAMETER,
    E_REPEATS,
    EMPTY,
    F_GRADIENT,
    F_KIND,
    F_NORM,
    F_ONE,
    F_PLANE,
    F_SUMMED,
    F_TAP,
    FIXED,
    IMAGE,
    LIVE,
    N_BIAS_GRADIENT,
    N_CENTRE,
    N_EPS,
    N_IN_GRADIENT,
    N_IN_LEVEL,
    N_IN_VALUE,
    N_INVERSE,
    N_WEIGHT,
    N_WEIGHT_GRADIENT,
    R_FILTER,
    R_TAP,
    T_CHANNEL,
    X_REPEATS,
    Z_BORDER,
    Z_END,
    Z_ENTRY,
    Z_REPEATS,
    Z_SECOND,
    Z_THIRD,
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
        total = _channel(A, n, S)
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
            _filter(A, n, f, pixels, total, S.totals[k])
            k += 1


@njit(**OPTIONS)
def _dynamic(A: Any, n: int, S: Any) -> None:
    """Gradients of a dynamic activation: of its coefficients, and of what it reads."""
    read = A.channels[n, C_READ_END] > A.channels[n, C_READ_FIRST]
    read |= A.channels[n, C_PASSED_END] > A.channels[n, C_PASSED_FIRST]
    if read or A.channels[n, C_INCOMING] != A.channels[n, C_GRADIENT]:
        _channel(A, n, S)
        dynamic_backward(A, n, -1, S)
    else:  # its gradient is in its place already
        dynamic_backward(A, n, A.channels[n, C_ADDEND], S)


@njit(**OPTIONS)
def _put_parameters(A: Any, n: int, S: Any) -> int:
    """Write what the loop needs; return the number of the channel's live filters."""
    put_source(S.own, 0, A, n, 1.0, 0.0)
    first = A.channels[n, C_PASSED_FIRST]
    passed = A.channels[n, C_PASSED_END] - first
    for k in range(passed):
        if A.channels[A.passed[first + k], C_RELU]:
            put_source(S.passed, k, A, A.passed[first + k], 1.0, 0.0)
        else:  # everything passes: as where it is positive
            put_number(S.passed, 2 * k, 1.0)
            put_number(S.passed, 2 * k + 1, 1.0)
        for i in range(LANES):
            S.products[k * LANES + i] = 0
    first = A.channels[n, C_READ_FIRST]
    for r in range(first, A.channels[n, C_READ_END]):
        if r < A.channels[n, C_READ_STORED]:
            S.readers[r - first] = A.numbers[A.readers[r, R_FILTER], N_IN_GRADIENT]
        else:
            S.readers[r - first] = A.weights[A.readers[r, R_TAP]]
    k = 0
    for f in range(A.channels[n, C_FIRST], A.channels[n, C_END]):
        if A.filters[f, F_KIND] != LIVE:
            continue
        centre = A.numbers[f, N_CENTRE]
        if A.filters[f, F_ONE]:
            put_source(S.sources, k, A, A.taps[A.filters[f, F_TAP], T_CHANNEL], 1.0, centre)
        else:
            S.sources[2 * k, 0] = 1
            S.sources[2 * k, 1] = -centre
            S.sources[2 * k, 2] = -BIG
            S.sources[2 * k, 3] = BIG
        S.centres[k] = centre
        k += 1
    return k


@njit(**OPTIONS)
def _channel(A: Any, n: int, S: Any) -> float:
    """Gradient of a live channel: Σ over what reads it, where its activation lets it through.

    Writes Σ g · (x − centre) of each live filter into `totals`; returns Σ g.
    """
    live_filters = _put_parameters(A, n, S)
    first = A.channels[n, C_READ_FIRST]
    passed = A.channels[n, C_PASSED_END] - A.channels[n, C_PASSED_FIRST]
    readers_at = passed
    sources_at = passed + A.channels[n, C_READ_END] - first
    incoming = A.channels[n, C_INCOMING]
    offset = incoming - A.channels[n, C_GRADIENT]
    addend = A.channels[n, C_ADDEND] * A.batch[1] if A.channels[n, C_ADDEND] >= 0 else -1
    threshold = number(A, 0 if A.channels[n, C_RELU] else -2 * BIG)
    total = 0.0
    for zone in range(A.channels[n, C_BACK], A.channels[n, C_BACK_END]):
        e0, e1 = A.zones[zone, Z_ENTRY], A.zones[zone, Z_SECOND]
        e2, e3 = A.zones[zone, Z_THIRD], A.zones[zone, Z_END]
        slope, level = 0.0, 0.0
        for e in range(e0, e1):
            f = A.readers[first + A.entries[e, E_PARAMETER], R_FILTER]
            slope += A.entries[e, E_REPEATS] * A.numbers[f, N_IN_VALUE]
            level += A.entries[e, E_REPEATS] * A.numbers[f, N_IN_LEVEL]
        for e in range(e1, e2):
            row = (readers_at + A.entries[e, E_PARAMETER]) * LANES
            for i in range(row, row + LANES):
                S.products[i] = 0
        for i in range(sources_at * LANES, (sources_at + live_filters) * LANES):
            S.products[i] = 0
        S.sums[:LANES] = 0
        back(
            A.gradients,
            A.values,
            A.zones,
            zone,
            A.entries,
            S.own,
            A.zones[zone, Z_BORDER],
            incoming >= 0,
            offset,
            number(A, slope),
            number(A, level),
            S.readers,
            S.passed,
            passed,
            S.sources,
            S.products,
            S.sums,
            threshold,
            readers_at,
            sources_at,
            A.mean_gradients,
            addend,
            number(A, A.zones[zone, Z_REPEATS]),
        )
        found = lanes(S.sums, 0)
        total += found
        for e in range(e1, e2):
            k = A.entries[e, E_PARAMETER]
            row = (readers_at + k) * LANES
            A.tap_gradients[A.readers[first + k, R_TAP]] += lanes(S.products, readers_at + k)
            for i in range(row, row + LANES):
                S.products[i] = 0  # another entry may be of the same tap
        for k in range(live_filters):
            S.seen[k] = 0
        for e in range(e2, e3):
            S.seen[A.entries[e, E_PARAMETER] // 2] = 1
        for k in range(live_filters):
            if S.seen[k]:
                S.totals[k] += lanes(S.products, sources_at + k)
            else:  # the filter's channel is not seen there, so it is 0
                S.totals[k] -= S.centres[k] * found
    for k in range(passed):
        x = A.passed[A.channels[n, C_PASSED_FIRST] + k]
        found = lanes(S.products, k)
        for f in range(A.channels[x, C_FIRST], A.channels[x, C_END]):
            A.numbers[f, N_BIAS_GRADIENT] = found
            A.numbers[f, N_WEIGHT_GRADIENT] = 0
    return total


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
def _filter(A: Any, n: int, f: int, pixels: int, total: float, product: float) -> None:
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
