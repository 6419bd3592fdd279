"""A time limit for a block of code."""

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _OutOfTime(BaseException):
    """Not an Exception, so that a compiler does not catch it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError when the block takes longer. No limit outside the main thread.

    The block is left when the call into a library that runs at that moment returns.

    seconds: positive; may be infinite.
    """
    in_main = threading.current_thread() is threading.main_thread()  # it alone receives signals
    if not in_main or math.isinf(seconds):
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise _OutOfTime

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _OutOfTime:
        raise TimeoutError(f"not done within {seconds:.3g} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
