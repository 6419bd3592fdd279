"""Whether a network has the live weights that its run asked for."""

import pytest

from dstbench.recording.budget import budget_problem


@pytest.mark.parametrize(
    ("live", "stored", "problem"),
    [
        (100, 1000, None),
        (101, 1000, "101 live weights, where 90 % of 1,000 leaves 100"),
        (99, 1000, "99 live weights, where 90 % of 1,000 leaves 100"),
        (99, 99, None),  # a smaller dense network is as near as its layers allow
        (101, 101, "101 live weights, where 90 % of 1,000 leaves 100"),
    ],
)
def test_a_network_is_on_its_budget_or_dense_and_smaller(live, stored, problem):
    assert budget_problem(0.9, live, 1000, stored) == problem
