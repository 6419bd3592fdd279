"""balanced_kernels: as good as integer programming, exact counts, by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from dstbench.methods.node_paths import balanced_kernels, most_paths


def objective(counts, paths, most, alpha, beta):
    """Of counts (outputs, inputs), up to a constant."""
    live, (outputs, inputs) = counts.sum(), counts.shape
    used = counts.any(0).sum() + counts.any(1).sum()
    longest = most_paths(paths, outputs * most, int(live))
    reached = (1 - alpha) / longest * (counts @ paths).sum() if longest > 0 else 0.0
    return alpha * used / (inputs + outputs) + reached + beta * (counts > 0).sum() / live


def best_objective(paths, outputs, live, most, alpha, beta):
    """By mixed-integer programming: variables m, kernels in use, inputs and outputs in use."""
    inputs = len(paths)
    kernels = outputs * inputs
    size = 2 * kernels + inputs + outputs
    longest = most_paths(paths, outputs * most, live)
    per_path = (1 - alpha) / longest if longest > 0 else 0.0
    gain = np.zeros(size)
    gain[:kernels] = per_path * np.tile(paths, outputs)
    gain[kernels : 2 * kernels] = beta / live
    gain[2 * kernels :] = alpha / (inputs + outputs)
    rows, limits = [np.concatenate([np.ones(kernels), np.zeros(size - kernels)])], [live]
    m = np.arange(kernels).reshape(outputs, inputs)
    for indicator, members in [
        *((kernels + k, [k]) for k in range(kernels)),
        *((2 * kernels + i, m[:, i]) for i in range(inputs)),
        *((2 * kernels + inputs + j, m[j]) for j in range(outputs)),
    ]:
        row = np.zeros(size)
        row[indicator], row[members] = 1, -1
        rows.append(row)
        limits.append(0)
    top = np.concatenate([np.full(kernels, most), np.ones(size - kernels)])
    found = milp(
        -gain,
        integrality=np.ones(size),
        bounds=Bounds(0, top),
        constraints=LinearConstraint(np.array(rows), -np.inf, limits),
    )
    return -found.fun


layers = st.fixed_dictionaries(
    {
        "paths": st.lists(st.integers(0, 20), min_size=1, max_size=5),
        "outputs": st.integers(1, 5),
        "most": st.integers(1, 4),
        "share": st.floats(0.01, 1),
        "alpha": st.sampled_from([0.0, 0.01, 0.5, 0.99, 1.0]),
        "beta": st.sampled_from([0.0, 0.001, 1.0, 2.0]),
    }
)


@settings(max_examples=40)
@given(layers, st.integers(0, 99))
def test_allocation_is_as_good_as_integer_programming(layer, seed):
    share, paths = layer.pop("share"), np.array(layer.pop("paths"), float)
    room = layer["most"] * layer["outputs"] * len(paths)
    live = math.ceil(share * room)
    outputs, most, alpha, beta = (layer[k] for k in ("outputs", "most", "alpha", "beta"))
    counts = balanced_kernels(paths, outputs, live, most, alpha, beta, np.random.default_rng(seed))
    assert counts.shape == (outputs, len(paths))
    assert counts.sum() == live and counts.min() >= 0 and counts.max() <= most
    best = best_objective(paths, outputs, live, most, alpha, beta)
    assert objective(counts, paths, most, alpha, beta) == pytest.approx(best, rel=1e-7, abs=1e-7)
    kernels = (counts > 0).sum(1)
    assert kernels.max() - kernels.min() <= 1  # outputs that are used least go first


@pytest.mark.parametrize(
    "live, expected",
    [
        (1, [1, 0, 0]),
        (3, [1, 1, 1]),  # each input first: α is 1
        (4, [2, 1, 1]),
        (7, [3, 2, 2]),
        (12, [4, 4, 4]),
    ],
)
def test_every_input_comes_first_where_alpha_is_one(live, expected):
    """No path counts then, and inputs are alike: which has one more is random."""
    counts = balanced_kernels(np.ones(3), 2, live, 2, 1.0, 0.0, np.random.default_rng(0))
    assert (counts > 0).any(0).sum() == min(3, live)
    assert (counts > 0).any(1).sum() == min(2, live)
    assert counts.sum() == live and sum(expected) == live


def test_inputs_of_the_most_paths_come_first_where_alpha_is_zero():
    """Two outputs, two weights a kernel; 6 weights: input 1 has 4, then input 2."""
    counts = balanced_kernels(np.array([1.0, 5, 3]), 2, 6, 2, 0.0, 0.0, np.random.default_rng(0))
    assert counts.sum(0).tolist() == [0, 4, 2] and (counts[:, 2] == 1).all()


def test_a_large_beta_fills_no_kernel_twice_before_all_have_one():
    counts = balanced_kernels(np.array([1.0, 5, 3]), 2, 8, 2, 0.0, 9.0, np.random.default_rng(0))
    assert (counts >= 1).all() and counts.sum(0).tolist() == [2, 4, 2]


def test_more_weights_than_fit_raise_the_limit_of_a_kernel():
    counts = balanced_kernels(np.ones(2), 2, 9, 1, 0.5, 1.0, np.random.default_rng(0))
    assert counts.sum() == 9 and counts.max() == 3


def test_the_most_paths_are_those_of_the_published_code():
    """With n below one input's weights it sums all inputs."""
    paths = np.array([2.0, 7, 1])
    assert most_paths(paths, 4, 6) == 4 * 7 + 2 * 2
    assert most_paths(paths, 4, 12) == 4 * 10
    assert most_paths(paths, 4, 3) == 4 * 10 + 3 * 7
