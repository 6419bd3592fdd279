"""A time limit for a block of code."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _OutOfTime(BaseException):
    """Not an Exception, so that a compiler does not catch it."""


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise TimeoutError when the block takes longer. No limit outside the main thread."""
    if threading.current_thread() is not threading.main_thread():  # it alone receives signals
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise _OutOfTime

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    except _OutOfTime:
        raise TimeoutError(f"not done within {seconds} s") from None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
