"""What a sweep has to do: each run of the grid once, and how far it is on disk."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dstbench.errors import UserError
from dstbench.files import held
from dstbench.grid import Job
from dstbench.rundir import CURVES, RunDirectory

Stage = Literal["finished", "diverged", "busy", "begun", "missing"]


@dataclass(frozen=True)
class Planned:
    """One run of a sweep.

    folder: its run folder. sha256, text: its resolved configuration. epochs: how many it trains.
    arguments: what is typed after `dstbench`.
    """

    job: Job
    folder: Path
    sha256: str
    text: str
    epochs: int
    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def log(self) -> Path:
        """Where its output goes, of all its starts."""
        return self.folder / "log.txt"

    def record(self) -> dict[str, Any] | None:
        """Its record, if there is one that can be read; the run itself says what is wrong."""
        with suppress(UserError):
            record = RunDirectory(self.folder).record()
            if record is not None and record["config"]["sha256"] == self.sha256:
                return record
        return None

    def stage(self) -> Stage:
        """How far the run is: done (finished or diverged), in work elsewhere, begun, or missing."""
        record = self.record()
        if record is not None and record["status"] in ("finished", "diverged"):
            return record["status"]
        if self.is_held():
            return "busy"
        return "begun" if any(self.folder.glob("checkpoint.*.pt")) else "missing"

    def is_held(self) -> bool:
        """Whether a process is working on the run."""
        lock = self.folder / "lock"
        try:
            if lock.exists():
                with held(lock, 0):
                    pass
        except TimeoutError:
            return True
        except OSError:  # the run itself says what is wrong
            pass
        return False

    def epochs_done(self) -> int:
        """As far as the last checkpoint covers them."""
        try:
            lines = (self.folder / CURVES).read_text(encoding="utf-8").splitlines()
            return int(json.loads(lines[-1])["epoch"])
        except (OSError, ValueError, LookupError):
            return 0


def once_each(planned: Sequence[Planned]) -> list[Planned]:
    """The runs without repetitions: what two sections share is one run, and so is what ignores an
    axis that the grid varies."""
    first: dict[str, Planned] = {}
    for run in planned:
        first.setdefault(run.sha256, run)
    return list(first.values())
