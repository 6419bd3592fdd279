"""How long the whole of `dstbench measure` may take, and what each part of it gets."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dstbench.measure.time_limit import time_limit

# Fractions of the time after which forms are no longer prepared; the rest is for timed calls. The
# deployed form is the first: its first compilation on a machine takes a minute.
DEPLOYED = 0.7
DENSE = 0.75


class Budget:
    """The time since it was made, and a note of what it is spent on.

    seconds: for everything, compilation included; infinite for no limit.
    repeats: timed calls of each form at each batch size; None for as many as fit. A given number
        is made whatever time it takes.
    show: called with a line about each step when it begins.
    """

    def __init__(
        self,
        seconds: float = math.inf,
        repeats: int | None = None,
        show: Callable[[str], None] = lambda text: None,
    ):
        self.seconds, self.repeats, self.show = seconds, repeats, show
        self._start = time.monotonic()

    def left(self, fraction: float = 1.0) -> float:
        """Return the seconds until this fraction of the time is over; negative afterwards."""
        return self._start + fraction * self.seconds - time.monotonic()

    @contextmanager
    def preparing(self, form: str, fraction: float = DENSE) -> Iterator[None]:
        """Limit a block that prepares a form to the time until this fraction of it is over.

        Raises TimeoutError: when it takes longer; says how to allow more.
        """
        self.show(f"preparing {form}")
        try:
            with time_limit(self.left(fraction)):
                yield
        except TimeoutError as error:
            raise TimeoutError(
                f"{error}, which is what --seconds {self.seconds:g} left for it; "
                f"--seconds {3 * self.seconds:g} allows more"
            ) from None
