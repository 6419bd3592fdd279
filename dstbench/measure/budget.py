"""How long the whole of `dstbench measure` may take, and what each part of it gets."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dstbench.measure.time_limit import time_limit

PREPARED = 0.6  # fraction of the time that preparing forms may take; the rest is for their calls


class Budget:
    """The time since it began, and a note of what it is spent on.

    seconds: for everything, compilation included; infinite for no limit.
    repeats: timed calls of each form at each batch size; None for as many as fit. A given number
        is made whatever time it takes.
    show: called with a line about each step when it begins.
    start: when the time began, of `time.monotonic()`; None for now.
    """

    def __init__(
        self,
        seconds: float = math.inf,
        repeats: int | None = None,
        show: Callable[[str], None] = lambda text: None,
        start: float | None = None,
    ):
        self.seconds, self.repeats, self.show = seconds, repeats, show
        self._start = time.monotonic() if start is None else start

    def left(self, fraction: float = 1.0) -> float:
        """Return the seconds until this fraction of the time is over; negative afterwards."""
        return self._start + fraction * self.seconds - time.monotonic()

    @contextmanager
    def preparing(self, form: str, interrupt: bool = False) -> Iterator[None]:
        """Begin a block that prepares a form only while time for preparing is left.

        interrupt: whether the block is left when that time is over. For compilers in Python only:
            libraries in C++ may crash, and take seconds.

        Raises TimeoutError: when the time is over; says how to allow more.
        """
        self.show(f"preparing {form}")
        left = self.left(PREPARED)
        try:
            if left <= 0:
                raise TimeoutError("not begun: no time was left")
            with time_limit(left if interrupt else math.inf):
                yield
        except TimeoutError as error:
            raise TimeoutError(
                f"{error} of --seconds {self.seconds:g}; --seconds {3 * self.seconds:g} allows more"
            ) from None
