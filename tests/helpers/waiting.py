"""Waits for other processes, with a time limit that is generous enough for a busy machine."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 300

T = TypeVar("T")


def wait_for(condition: Callable[[], T]) -> T:
    """Return the first value of a condition that is true; fail if it takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value
