"""The time limit of a block."""

import time

import pytest

from dstbench.measure.budget import Budget
from dstbench.measure.time_limit import time_limit


def test_time_limit_interrupts_a_slow_block():
    start = time.monotonic()
    with pytest.raises(TimeoutError, match="within 1 s"), time_limit(1):
        time.sleep(30)
    assert time.monotonic() - start < 10


def test_time_limit_ends_with_its_block():
    with time_limit(1):
        pass
    time.sleep(1.2)  # a signal that was not switched off would raise here


def test_budget_limits_a_block_and_names_the_option():
    budget = Budget(1.0)
    message = r"not done within 0\.\d+ s of --seconds 1; --seconds 3 allows more"
    with pytest.raises(TimeoutError, match=message), budget.preparing("slow", interrupt=True):
        time.sleep(30)
    with pytest.raises(TimeoutError, match="not begun"), budget.preparing("next"):
        raise AssertionError
    assert 0 < budget.left() < 0.41


def test_no_budget_is_no_limit():
    with Budget().preparing("anything"):
        pass
    assert Budget().left() == float("inf")
