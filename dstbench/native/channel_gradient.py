"""The gradient of one live channel."""

from typing import Any

from numba import njit

from dstbench.compiled.lanes import LANES
from dstbench.native.backward_loop import back
from dstbench.native.constants import OPTIONS
from dstbench.native.sources import lanes, number, put_number, put_source
from dstbench.native.tables import (
    BIG,
    C_ADDEND,
    C_BACK,
    C_BACK_END,
    C_END,
    C_FIRST,
    C_GRADIENT,
    C_INCOMING,
    C_PASSED_END,
    C_PASSED_FIRST,
    C_READ_END,
    C_READ_FIRST,
    C_READ_STORED,
    C_RELU,
    E_PARAMETER,
    E_REPEATS,
    F_KIND,
    F_ONE,
    F_TAP,
    LIVE,
    N_BIAS_GRADIENT,
    N_CENTRE,
    N_IN_GRADIENT,
    N_IN_LEVEL,
    N_IN_VALUE,
    N_WEIGHT_GRADIENT,
    R_FILTER,
    R_TAP,
    T_CHANNEL,
    Z_BORDER,
    Z_END,
    Z_ENTRY,
    Z_REPEATS,
    Z_SECOND,
    Z_THIRD,
)


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
def channel_gradient(A: Any, n: int, S: Any) -> float:
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
