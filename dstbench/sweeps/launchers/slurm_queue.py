"""Slurm's queue, by `squeue` and `scancel`: which jobs there are, in which state. No accounting.

A cluster without accounting has no `sacct`, so nothing here needs it. One question answers for all
jobs of the user, and is asked every few seconds, whatever their number.
"""

import getpass
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_ASK_S = 4.0  # between two questions
_TIMEOUT_S = 60.0  # of one
_AT_ONCE = 500  # jobs that one scancel names: a command line has a limit
_LIVE = {
    "PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD",
    "REQUEUE_FED", "RESIZING", "SIGNALING", "SPECIAL_EXIT", "STAGE_OUT", "STOPPED",
}  # fmt: skip
_TAKEN_AWAY = {"CANCELLED", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED", "TIMEOUT", "DEADLINE"}


@dataclass(frozen=True)
class QueuedJob:
    """A job as the queue knows it.

    name: of the job.
    state: Slurm's word for it, such as RUNNING.
    script: path of its batch script.
    """

    name: str
    state: str
    script: Path

    @property
    def live(self) -> bool:
        """Whether it waits, runs or is ending."""
        return self.state in _LIVE

    @property
    def taken_away(self) -> bool:
        """Whether it ended by no fault of its own."""
        return self.state in _TAKEN_AWAY


class SlurmQueue:
    """The jobs of this user, asked for every few seconds."""

    def __init__(self) -> None:
        self._asked, self._jobs = float("-inf"), None

    _jobs: dict[str, QueuedJob] | None

    @property
    def fresh(self) -> bool:
        """Whether the last answer is younger than the time between two questions."""
        return time.monotonic() < self._asked + _ASK_S

    def jobs(self) -> dict[str, QueuedJob] | None:
        """Return the jobs by their id, those that ended a few minutes ago included.

        Returns None if Slurm does not answer.
        """
        if not self.fresh:
            self._jobs = self._ask()
            self._asked = time.monotonic()
        return self._jobs

    def _ask(self) -> dict[str, QueuedJob] | None:
        fields = ("--noheader", "--states=all", "--format=%A|%T|%o|%j")
        output = _run(["squeue", f"--user={getpass.getuser()}", *fields])
        if output is None:
            return None
        found = {}
        for line in output.splitlines():
            number, state, script, name = line.split("|", 3)
            found[number] = QueuedJob(name, state, Path(script))
        return found

    def cancel(self, ids: Sequence[str]) -> None:
        """Ask Slurm to end jobs: waiting ones vanish, running ones get SIGTERM first."""
        for first in range(0, len(ids), _AT_ONCE):
            _run(["scancel", *ids[first : first + _AT_ONCE]])
        self._asked = float("-inf")


def _run(command: Sequence[str]) -> str | None:
    """Return the output of a command, None if it fails or takes too long."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")
