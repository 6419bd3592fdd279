"""Tasks of the forward pass: one computes one channel, and the statistics of its filters."""

from typing import Any

from numba import njit

from dstbench.native.constants import OPTIONS
from dstbench.native.dynamic import dynamic_forward, mean_forward
from dstbench.native.filter_results import empty_level, filter_result, scale_of
from dstbench.native.loops import store_relu, store_sum
from dstbench.native.pooling import pool_forward
from dstbench.native.sources import is_stored, number, put_source
from dstbench.native.tables import (
    BIG,
    C_BASE,
    C_DYNAMIC,
    C_DYNAMIC_BY,
    C_END,
    C_FAR,
    C_FIRST,
    C_HEIGHT,
    C_KIND,
    C_LEVEL,
    C_LINK,
    C_POOLED,
    C_RELU,
    C_WIDTH,
    C_ZONES,
    C_ZONES_END,
    CONSTANT,
    EMPTY,
    F_KIND,
    F_LEVEL,
    F_ONE,
    F_TAP,
    FIXED,
    LIVE,
    N_BIAS,
    N_CENTRE,
    N_MEAN,
    SCALED,
    STORED,
    T_CHANNEL,
    V_EDGE,
    V_HIGH,
    V_LOW,
    V_SCALE,
    V_SHIFT,
    VIEW,
)


@njit(**OPTIONS)
def _see(A: Any, n: int, source: int, a: float, b: float) -> None:
    """Channel n is a · source + b, clipped if it has a ReLU, perhaps moved."""
    low, high = a * A.views[source, V_LOW] + b, a * A.views[source, V_HIGH] + b
    if a < 0:
        low, high = high, low
    edge = a * A.views[source, V_EDGE] + b if A.channels[source, C_FAR] else b
    if A.channels[n, C_RELU]:
        low, high, edge = max(low, 0.0), max(high, 0.0), max(edge, 0.0)
    A.views[n, V_SCALE] = a * A.views[source, V_SCALE]
    A.views[n, V_SHIFT] = a * A.views[source, V_SHIFT] + b
    A.views[n, V_LOW] = low
    A.views[n, V_HIGH] = high
    A.views[n, V_EDGE] = edge


@njit(**OPTIONS)
def _put_sum(A: Any, n: int, S: Any) -> float:
    """Parameters of the sources of a sum, stored ones first; returns what its norms add."""
    k, level, link = 0, 0.0, A.channels[n, C_LINK]
    for turn in range(2):
        stored = turn == 0
        if link >= 0 and A.channels[link, C_KIND] != CONSTANT and is_stored(A, link) == stored:
            put_source(S.sources, k, A, link, 1.0, 0.0)
            k += 1
        for f in range(A.channels[n, C_FIRST], A.channels[n, C_END]):
            if A.filters[f, F_KIND] != LIVE:
                continue
            a = scale_of(A, f)
            if not A.filters[f, F_ONE]:
                if stored:
                    S.sources[2 * k, 0] = a
                    level += A.numbers[f, N_BIAS] - a * A.numbers[f, N_CENTRE]
                    k += 1
                continue
            source = A.taps[A.filters[f, F_TAP], T_CHANNEL]
            if is_stored(A, source) == stored:
                put_source(S.sources, k, A, source, a * A.weights[A.filters[f, F_TAP]], 0.0)
                level += A.numbers[f, N_BIAS] - a * A.numbers[f, N_MEAN]
                k += 1
    return level


@njit(**OPTIONS)
def _put_level(A: Any, n: int, level: float) -> None:
    """Write the part of a channel that is the same for all images."""
    pixels, out = A.channels[n, C_HEIGHT] * A.channels[n, C_WIDTH], A.channels[n, C_LEVEL]
    for x in range(out, out + pixels):
        A.levels[x] = level
    for f in range(A.channels[n, C_FIRST], A.channels[n, C_END]):
        if A.filters[f, F_KIND] == FIXED:
            a = scale_of(A, f)
            b = A.numbers[f, N_BIAS] - a * A.numbers[f, N_MEAN]
            for x in range(pixels):
                A.levels[out + x] += a * A.levels[A.filters[f, F_LEVEL] + x] + b
    link = A.channels[n, C_LINK]
    if link >= 0 and A.channels[link, C_KIND] == CONSTANT:
        for x in range(pixels):
            A.levels[out + x] += A.levels[A.channels[link, C_BASE] + x]


@njit(**OPTIONS)
def _store(A: Any, n: int, S: Any) -> None:
    level = _put_sum(A, n, S)
    shift = number(A, -level)
    for zone in range(A.channels[n, C_ZONES], A.channels[n, C_ZONES_END]):
        if A.channels[n, C_RELU]:
            store_relu(A.values, A.zones, zone, A.entries, S.sources, A.levels, shift, S.sums)
        else:
            store_sum(A.values, A.zones, zone, A.entries, S.sources, A.levels, shift, S.sums)


@njit(**OPTIONS)
def _channel(A: Any, n: int, S: Any) -> None:
    """Compute a channel that is a sum, perhaps clipped."""
    level, main = 0.0, -1
    for f in range(A.channels[n, C_FIRST], A.channels[n, C_END]):
        if A.filters[f, F_KIND] == EMPTY:
            level += empty_level(A, f)
            continue
        filter_result(A, f, S)
        if A.filters[f, F_KIND] == LIVE:
            main = f
    kind = A.channels[n, C_KIND]
    if kind == SCALED:
        a = scale_of(A, main)
        A.views[n, V_SCALE] = a
        A.views[n, V_SHIFT] = level + A.numbers[main, N_BIAS] - a * A.numbers[main, N_CENTRE]
        A.views[n, V_LOW] = 0 if A.channels[n, C_RELU] else -BIG
        A.views[n, V_HIGH] = BIG
    elif kind == VIEW and main < 0:
        _see(A, n, A.channels[n, C_LINK], 1.0, level)
    elif kind == VIEW:
        a, tap = scale_of(A, main), A.filters[main, F_TAP]
        b = level + A.numbers[main, N_BIAS] - a * A.numbers[main, N_MEAN]
        _see(A, n, A.taps[tap, T_CHANNEL], a * A.weights[tap], b)
    else:
        _put_level(A, n, level)
        if kind == STORED:
            _store(A, n, S)
        elif A.channels[n, C_RELU]:
            out = A.channels[n, C_LEVEL]
            for x in range(out, out + A.channels[n, C_HEIGHT] * A.channels[n, C_WIDTH]):
                A.levels[x] = max(A.levels[x], number(A, 0))


@njit(**OPTIONS)
def forward(A: Any, n: int, S: Any) -> None:
    """Compute channel n."""
    if A.channels[n, C_DYNAMIC] >= 0:
        dynamic_forward(A, n, S)
    elif A.channels[n, C_POOLED] >= 0:
        pool_forward(A, n, S)
    else:
        _channel(A, n, S)
    if A.channels[n, C_DYNAMIC_BY] >= 0:
        mean_forward(A, n, S)
