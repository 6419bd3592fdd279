"""Slurm's queue, by `squeue` and `scancel`: which jobs there are, in which state. No accounting.

A cluster without accounting has no `sacct`, so nothing here needs it. One question answers for all
jobs of the user, and is asked every few seconds, whatever their number.
"""

import getpass
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_ASK_S = 4.0  # between two questions
_TIMEOUT_S = 30.0  # of one
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
    """The jobs of this user, asked for every few seconds by a process that nobody waits for.

    A controller that does not answer therefore delays nothing.
    """

    def __init__(self) -> None:
        self._known: dict[str, QueuedJob] | None = None
        self._next = 0.0  # when to ask again
        self._question: subprocess.Popen[bytes] | None = None
        self._first = True

    def jobs(self) -> dict[str, QueuedJob] | None:
        """Return the jobs by their id, those that ended a few minutes ago included.

        The answer is some seconds old. Returns None if Slurm did not answer.
        """
        now = time.monotonic()
        if self._question is None and now >= self._next:
            self._asked, self._answer = now, tempfile.TemporaryFile()  # noqa: SIM115
            self._question = _start_question(self._answer)
            self._next = now + _ASK_S
            if self._question is None:
                self._answer.close()
                self._known = None
        if self._question is not None:
            self._look(now)
        return self._known

    def _look(self, now: float) -> None:
        """Take the answer if there is one; the first is waited for."""
        assert self._question is not None
        with suppress(subprocess.TimeoutExpired):
            self._question.wait(_TIMEOUT_S if self._first else 0)
        self._first = False
        if self._question.returncode is None:
            if now < self._asked + _TIMEOUT_S:
                return
            self._question.kill()
            self._question.wait()
        self._known = self._read() if self._question.returncode == 0 else None
        self._answer.close()
        self._question, self._next = None, time.monotonic() + _ASK_S

    def _read(self) -> dict[str, QueuedJob]:
        self._answer.seek(0)
        found = {}
        for line in self._answer.read().decode(errors="replace").splitlines():
            fields = line.split("|", 3)
            if len(fields) == 4:  # else a foreign job's name goes on in a second line
                number, state, script, name = fields
                found[number] = QueuedJob(name, state, Path(script))
        return found

    def cancel(self, ids: Sequence[str]) -> bool:
        """Ask Slurm to end jobs: waiting ones vanish, running ones get SIGTERM first.

        Returns whether Slurm took the request.
        """
        for first in range(0, len(ids), _AT_ONCE):
            command = ["scancel", *ids[first : first + _AT_ONCE]]
            try:
                subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=True)
            except (OSError, subprocess.SubprocessError):
                return False
        self._next = 0.0
        return True


def _start_question(answer: IO[bytes]) -> "subprocess.Popen[bytes] | None":
    fields = ("--noheader", "--states=all", "--format=%A|%T|%o|%j")
    with suppress(OSError):
        return subprocess.Popen(
            ["squeue", f"--user={getpass.getuser()}", *fields],
            stdin=subprocess.DEVNULL,
            stdout=answer,
            stderr=subprocess.DEVNULL,
        )
    return None
