"""When a checkpoint is due."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

_MAX_FRACTION = 0.02  # of the time may be spent on checkpoints, however large they are


class CheckpointPolicy:
    """Decides when a checkpoint is due.

    interval_s: time between two checkpoints, s; longer where saves are slow.
    """

    def __init__(self, interval_s: float):
        self.interval_s = interval_s
        self._last_save = time.monotonic()
        self._save_seconds = 0.0

    def due(self) -> bool:
        wait = max(self.interval_s, self._save_seconds / _MAX_FRACTION)
        return time.monotonic() - self._last_save >= wait

    @contextmanager
    def timed_save(self) -> Iterator[None]:
        """Measure the save inside: the next one is due relative to its end and its duration."""
        began = time.monotonic()
        yield
        self._last_save = time.monotonic()
        self._save_seconds = self._last_save - began
