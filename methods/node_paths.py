"""The layer's problem of NPB: live weights of kernels that balance channels in use and paths.

With m (inputs × outputs) the live weights of each kernel, at most p each and n in all, the
objective of the authors' code (Pham et al. 2023) is

    α · (inputs + outputs in use) / (inputs + outputs) + (1 − α) · Σ P_i m_ij / P_most
    + β · (1 − empty kernels / n)

P_i are the paths to input i, P_most is the most that n weights could have: p weights in every
kernel of the inputs of the most paths. Where n is less than one input takes, the code adds those of
all inputs instead of none, so that paths matter less; this is kept, for published masks depend on
it.

The code solves it by mixed-integer programming. No solver is needed. The first weight of an input
is worth α / (inputs + outputs) + (1 − α) P_i / P_most + β / n, one in another of its kernels is not
worth the first term, one in a kernel that has one already neither that nor the last. Taking the n
weights of the most worth is therefore optimal: it fills no kernel further before all kernels of
that input have a weight, and where any kernel has two, there is one for every output.
"""

import math

import numpy as np

from dstbench.graph.channel_graph import Array


def balanced_kernels(
    paths: Array,
    outputs: int,
    live: int,
    most: int,
    alpha: float,
    beta: float,
    rng: np.random.Generator,
) -> Array:
    """Return the live weights of each kernel, int64 (outputs, inputs), an optimal solution.

    Among equal inputs the choice is random. An input's weights go to the outputs that have the
    fewest kernels so far, equal ones at random.

    paths: (inputs,) float64, P.
    live: n, zero or more.
    most: p; raised where n weights would not fit.
    alpha, beta: α in [0, 1] and β, zero or more.
    """
    inputs = len(paths)
    if not live:
        return np.zeros((outputs, inputs), np.int64)
    paths = paths / (paths.max() or 1.0)  # only their ratios matter, and sums may overflow
    most = max(most, math.ceil(live / (inputs * outputs)))
    longest = most_paths(paths, outputs * most, live)
    per_path = (1 - alpha) / longest if longest > 0 else 0.0
    further = per_path * paths
    another = further + beta / live
    first = another + alpha / (inputs + outputs)
    room = np.repeat([[1], [outputs - 1], [outputs * (most - 1)]], inputs, 1)
    taken = _most_valuable(np.stack([first, another, further]), room, live, rng)
    counts = np.zeros((outputs, inputs), np.int64)
    used = np.zeros(outputs, np.int64)  # kernels of each output
    kernels = taken[0] + taken[1]
    for i in np.argsort(-kernels, kind="stable")[: np.count_nonzero(kernels)].tolist():
        rows = np.lexsort((rng.random(outputs), used))[: kernels[i]]
        used[rows] += 1
        counts[rows, i] = 1
        if taken[2, i]:
            more = np.full(len(rows), most - 1)
            counts[rows, i] += rng.multivariate_hypergeometric(more, taken[2, i])
    return counts


def most_paths(paths: Array, full: int, live: int) -> float:
    """Return P_most.

    full: most weights of an input, outputs · p.
    """
    ranked = np.sort(paths)[::-1]
    whole, rest = divmod(live, full)
    # `or None`: the code's slice [-0:] holds all inputs
    held = full * float(ranked[: whole or None].sum())
    return held + rest * float(ranked[whole]) if rest else held


def _most_valuable(values: Array, room: Array, take: int, rng: np.random.Generator) -> Array:
    """Return how many weights to take of each kind and input, of the highest value in all.

    Among equal values, earlier rows go first, and within a row the choice is random.

    values: (kinds, inputs).
    room: (kinds, inputs), most weights.
    take: weights in all, at most the sum of `room`.
    """
    kinds = np.repeat(np.arange(len(values)), values.shape[1])
    value, room_left = values.ravel(), room.ravel()
    order = np.lexsort((kinds, -value))
    ends = (np.diff(value[order]) != 0) | (np.diff(kinds[order]) != 0)
    taken = np.zeros(len(order), np.int64)
    for group in np.split(order, np.flatnonzero(ends) + 1):
        size = min(take, int(room_left[group].sum()))
        taken[group] = rng.multivariate_hypergeometric(room_left[group], size)
        take -= size
        if not take:
            break
    return taken.reshape(values.shape)
