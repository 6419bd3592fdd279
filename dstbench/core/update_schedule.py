"""UpdateSchedule: the optimizer steps after which masks are updated."""

from collections.abc import Iterator
from dataclasses import InitVar, dataclass

from dstbench.errors import UserError, require
from dstbench.sparsity import percent


@dataclass(frozen=True)
class UpdateSchedule:
    """Updates after every `interval` optimizer steps, or evenly spaced over a run of any length.

    There is no update after the last step: weights that it grew would never be trained.

    owner: the part whose constructor parameters these are; named in messages.
    interval: update interval ΔT in optimizer steps; if given, `per_run` is not used.
    per_run: updates per run, including the omitted one after the last step.
    until: fraction of the run after which there are no updates, in (0, 1].

    Raises UserError: when interval and per_run are both None, or one is out of range.
    """

    owner: InitVar[object]
    interval: int | None
    per_run: int | None
    until: float = 1.0

    def __post_init__(self, owner: object) -> None:
        if self.interval is not None:
            allowed = "at least 1 optimizer step, or None"
            require(self.interval >= 1, owner, "update_interval", self.interval, allowed)
        elif self.per_run is None:
            name = type(owner).__name__
            raise UserError(
                f"{name} has no update schedule: set {name}.updates_per_run or "
                f"{name}.update_interval (optimizer steps)."
            )
        else:
            allowed = "at least 2 (the last one, at the end of the run, is omitted)"
            require(self.per_run >= 2, owner, "updates_per_run", self.per_run, allowed)
        allowed = "a fraction of the run in (0, 1]"
        require(0 < self.until <= 1, owner, "update_until", self.until, allowed)

    def __str__(self) -> str:
        if self.interval is not None:
            return f"every {self.interval} optimizer steps"
        return f"{self.per_run} times"

    def refuse_never(self, owner: object, total_steps: int) -> None:
        """Raise UserError where a run of so many optimizer steps has no update.

        owner: as of the constructor.
        """
        if self.next_update(0, total_steps) is not None:
            return
        name = type(owner).__name__
        steps = f"{total_steps} optimizer step{'s' if total_steps > 1 else ''}"
        end = "" if self.until == 1 else f", in its first {percent(self.until)} only"
        raise UserError(
            f"{name} would never update its masks: the run has {steps}, and updates are due "
            f"{self}{end}; there is none after the last step. Train longer (Run.epochs), lower "
            f"{name}.update_interval, or set it to None for {name}.updates_per_run.",
            f"{name}.update_interval",
        )

    def next_update(self, after: int, total_steps: int) -> int | None:
        """Return the first optimizer step later than `after` that an update follows, or None."""
        if self.interval is not None:
            step = (after // self.interval + 1) * self.interval
        else:
            assert self.per_run is not None
            done = after * self.per_run // total_steps
            step = -(-(done + 1) * total_steps // self.per_run)  # rounded up
        last = min(total_steps - 1, round(self.until * total_steps, 6))
        return step if step <= last else None

    def is_due(self, step: int, total_steps: int) -> bool:
        """Return whether an update follows optimizer step `step` (1 … total_steps)."""
        return self.next_update(step - 1, total_steps) == step

    def steps(self, total_steps: int) -> Iterator[int]:
        """Yield every optimizer step that an update follows, in order."""
        step = self.next_update(0, total_steps)
        while step is not None:
            yield step
            step = self.next_update(step, total_steps)
