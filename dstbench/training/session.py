"""A session of a run: from a start of its processes to their end."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from dstbench.recording.types import ENGINES, EngineName


@dataclass(frozen=True)
class Session:
    """One session of a run.

    resumed: whether it goes on from a checkpoint.
    started: unix time, s.
    seconds_before: time spent by earlier sessions, as far as the checkpoint knows, s.
    steps_before: engine → training steps that it computed in earlier sessions, as far as the
        checkpoint knows.
    engine_before: the engine of the session that wrote the checkpoint, on a device of the same
        kind; None where there is none.
    """

    resumed: bool
    started: float
    seconds_before: float
    steps_before: Mapping[str, int]
    engine_before: EngineName | None = None

    def seconds(self) -> float:
        """Return the time spent on the run so far, by all sessions, in seconds."""
        return self.seconds_before + time.time() - self.started

    def steps(self, now: Mapping[str, int]) -> dict[str, int]:
        """Return engine → training steps of the run so far, by all sessions; none of 0 steps.

        now: those of this session.
        """
        total = {name: self.steps_before.get(name, 0) + now.get(name, 0) for name in ENGINES}
        return {name: steps for name, steps in total.items() if steps}
