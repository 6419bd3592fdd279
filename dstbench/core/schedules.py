"""Numbers that change during a run: plain functions of its progress in [0, 1].

A run of 3 epochs and one of 250 use the same schedule. Wherever a schedule is expected, a plain
number means "this, always".
"""

import math
from collections.abc import Callable, Sequence

from dstbench.config.registry import register
from dstbench.errors import require

Schedule = Callable[[float], float]


def value_at(schedule: Schedule | float, progress: float) -> float:
    """The schedule's value at `progress`; a number is its own value."""
    return schedule(progress) if callable(schedule) else schedule


@register("schedules")
class Cosine:
    """Falls (or rises) from `start` to `end` along half a cosine: end + (start−end)·½(1+cos πp).

    until: progress at which it is at `end`, and from where it stays there.
    """

    def __init__(self, start: float, end: float = 0.0, until: float = 1.0):
        require(0 < until <= 1, self, "until", until, "a progress in (0, 1]")
        self.start, self.end, self.until = start, end, until

    def __call__(self, progress: float) -> float:
        progress = min(progress / self.until, 1.0)
        return self.end + (self.start - self.end) * 0.5 * (1 + math.cos(math.pi * progress))


@register("schedules")
class MultiStep:
    """1, multiplied by `factor` at each milestone (a progress) that has been reached."""

    def __init__(self, milestones: Sequence[float], factor: float = 0.1):
        require(
            all(0 < m <= 1 for m in milestones),
            self, "milestones", milestones, "fractions of the run, each in (0, 1]",
        )  # fmt: skip
        self.milestones, self.factor = tuple(milestones), factor

    def __call__(self, progress: float) -> float:
        return self.factor ** sum(progress >= m for m in self.milestones)


@register("schedules")
class WarmupCosine:
    """Rises linearly from 0 to 1 over the first `warmup` of the run, then falls to `end`."""

    def __init__(self, warmup: float = 0.05, end: float = 0.0):
        require(0 <= warmup < 1, self, "warmup", warmup, "a fraction of the run in [0, 1)")
        self.warmup, self.end = warmup, end
        self.fall = Cosine(1.0, end)

    def __call__(self, progress: float) -> float:
        if progress < self.warmup:
            return progress / self.warmup
        return self.fall((progress - self.warmup) / (1 - self.warmup))
