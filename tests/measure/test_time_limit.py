"""The time limit of a block."""

import time

import pytest

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
