"""Schedules: functions of a run's progress, the fraction of optimizer steps done, in [0, 1].

Runs of 3 and of 250 epochs use the same schedule. A number in place of a schedule is constant.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from dstbench.config.registry import register
from dstbench.errors import require

Schedule = Callable[[float], float]

_ROUNDING = 1e-6  # of a schedule's length; steps are whole numbers, ends of repetitions are not


def value_at(schedule: Schedule | float, progress: float) -> float:
    """Return the schedule's value at `progress`; a number is constant."""
    return schedule(progress) if callable(schedule) else schedule


def step_at(fraction: float, total_steps: int) -> int:
    """Return the optimizer step at a fraction of the run, rounded up: 0.07 of 100 is 7, not 8."""
    return math.ceil(round(fraction * total_steps, 6))


@register("schedules")
class Cosine:
    """Cosine annealing from `start` to `end`: end + (start − end) · ½(1 + cos πp).

    start: value at progress 0.
    end: value at progress `until` and later.
    until: progress at which it reaches `end`, in (0, 1].
    """

    def __init__(self, start: float, end: float = 0.0, until: float = 1.0):
        require(0 < until <= 1, self, "until", until, "a fraction of the run in (0, 1]")
        self.start, self.end, self.until = start, end, until

    def __call__(self, progress: float) -> float:
        progress = min(progress / self.until, 1.0)
        return self.end + (self.start - self.end) * 0.5 * (1 + math.cos(math.pi * progress))


@register("schedules")
class MultiStep:
    """Step decay: 1, multiplied by `factor` at each milestone reached.

    milestones: progress of each decay, in (0, 1].
    factor: multiplier at each milestone.
    """

    def __init__(self, milestones: Sequence[float], factor: float = 0.1):
        allowed = "fractions of the run, each in (0, 1]"
        require(all(0 < m <= 1 for m in milestones), self, "milestones", milestones, allowed)
        self.milestones, self.factor = tuple(milestones), factor

    def __call__(self, progress: float) -> float:
        return self.factor ** sum(progress >= m for m in self.milestones)


@register("schedules")
class Piecewise:
    """Constant values, one after another.

    values: one more than milestones.
    milestones: progress from which the next value holds, ascending, each in (0, 1].
    """

    def __init__(self, values: Sequence[float], milestones: Sequence[float]):
        ascending = all(a < b for a, b in pairwise((0.0, *milestones)))
        allowed = "ascending fractions of the run, each in (0, 1]"
        require(
            ascending and max(milestones, default=1) <= 1, self, "milestones", milestones, allowed
        )
        count = len(milestones) + 1
        require(
            len(values) == count,
            self,
            "values",
            values,
            f"{count} of them, one more than milestones",
        )
        self.values, self.milestones = tuple(values), tuple(milestones)

    def __call__(self, progress: float) -> float:
        return self.values[sum(progress >= m for m in self.milestones)]


@register("schedules")
class WarmupCosine:
    """Linear warm-up from 0 to 1, then cosine annealing to `end`.

    warmup: fraction of the run that warms up, in [0, 1).
    end: value at the end of the run.
    """

    def __init__(self, warmup: float = 0.05, end: float = 0.0):
        require(0 <= warmup < 1, self, "warmup", warmup, "a fraction of the run in [0, 1)")
        self.warmup, self.end = warmup, end
        self.fall = Cosine(1.0, end)

    def __call__(self, progress: float) -> float:
        if progress < self.warmup:
            return progress / self.warmup
        return self.fall((progress - self.warmup) / (1 - self.warmup))


@register("schedules")
class Repeated:
    """Another schedule several times in a run; repetitions may begin at a later point of it.

    With `times` n and `start` ρ, the run is 1 + (n − 1)(1 − ρ) times as long as what `of` covers.

    of: the schedule.
    times: how often it runs to its end, at least 1.
    start: progress of `of` at which every repetition but the first begins, in [0, 1).
    """

    def __init__(self, of: Schedule, times: int, start: float = 0.0):
        require(times >= 1, self, "times", times, "at least 1")
        require(0 <= start < 1, self, "start", start, "a fraction in [0, 1)")
        self.of, self.times, self.start = of, times, start

    @property
    def length(self) -> float:
        """Length of the run, in lengths of `of`."""
        return 1 + (self.times - 1) * (1 - self.start)

    def ends(self) -> list[float]:
        """Return the progress of the run at which each repetition ends; the last is 1."""
        return [(1 + i * (1 - self.start)) / self.length for i in range(self.times)]

    def __call__(self, progress: float) -> float:
        position = progress * self.length
        if progress >= 1:
            position = 1.0
        elif position >= 1 - _ROUNDING:  # where a repetition ends, the next one begins
            passed = (position - 1 + _ROUNDING) % (1 - self.start)
            position = self.start + max(0.0, passed - _ROUNDING)
        return self.of(round(position, 9))  # a milestone at a step is reached at it
