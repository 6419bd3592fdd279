"""A session of a run: from a start of its processes to their end."""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Session:
    """One session of a run.

    number: 1 for the first.
    started: unix time, s.
    seconds_before: time spent by earlier sessions, as far as the checkpoint knows, s.
    """

    number: int
    started: float
    seconds_before: float

    def seconds(self) -> float:
        """Return the time spent on the run so far, by all sessions, in seconds."""
        return self.seconds_before + time.time() - self.started
