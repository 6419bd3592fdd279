"""Schedules the runs of a sweep: starts missing runs, resumes interrupted ones, retries crashes.

One failure stops no other run, and a place that takes no more runs is asked again later. All state
is in the run folders, so a sweep may be killed at any moment and started again, and several sweeps
may work on one folder of runs: each run folder has a lock.
"""

import shlex
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from dstbench.errors import UserError
from dstbench.recording.record import OVER
from dstbench.recording.run_lock import BUSY
from dstbench.sweeps.launchers.base import End, Launcher, NotStarted, Task
from dstbench.sweeps.plan import PlannedRun
from dstbench.utils.passwords import without_password
from dstbench.utils.printable import printable
from dstbench.utils.signals import SAVED_EXITS, GracefulStop

_POLL_S = 0.1
_POLL_BUSY_S = 2.0  # between two checks of runs that other processes work on, at least
_TURN_S = 0.5  # how long a turn may start runs, before it looks at signals and at what ended
_REFUSED_S = 30.0  # until a place that took no more runs is asked again
_MOST_TAKEN_AWAY = 100  # how often a run may lose its machine; its own fault would not end either
_INPUT_ERROR = 2  # exit code of a mistake in the input, which a retry does not change
LOG_HEADER = "--- "  # begins the line of each start in a run's log


class SweepObserver(Protocol):
    """Receives the events of a sweep."""

    def started(self, run: PlannedRun, attempt: int) -> None: ...
    def done(self, run: PlannedRun, elsewhere: bool) -> None: ...
    def died(self, run: PlannedRun, how: str) -> None: ...
    def stopped(self, run: PlannedRun, how: str) -> None: ...
    def refused(self, why: str) -> None: ...
    def stopping(self, running: int) -> None: ...
    def failed(self, run: PlannedRun, why: str) -> None: ...
    def busy_elsewhere(self, run: PlannedRun) -> None: ...
    def polled(self, running: Sequence[PlannedRun]) -> None: ...


@dataclass
class Sweep:
    """Runs what is left of a sweep.

    runs: the runs that are not done yet.
    launcher: starts and stops them.
    retries: how many times a run that died is started again.
    observer: receives the events.
    environment: variables that each run's process gets, see `Task`.
    failed: the runs that failed, each with the reason.
    """

    runs: Sequence[PlannedRun]
    launcher: Launcher
    retries: int
    observer: SweepObserver
    environment: Mapping[str, str] = field(default_factory=dict)
    failed: dict[PlannedRun, str] = field(default_factory=dict)

    def run_all(self) -> None:
        """Run until all runs are done or failed.

        Raises Interrupted after a signal, when all runs have saved.
        """
        self.waiting = deque(self.runs)
        self.running: dict[str, PlannedRun] = {}
        self.busy: list[PlannedRun] = []
        self.attempts: Counter[str] = Counter()
        self.taken_away: Counter[str] = Counter()
        self.next_start = self.next_busy_poll = 0.0
        stop = GracefulStop()
        try:
            with stop:
                while self.waiting or self.running or self.busy:
                    self._start_some()
                    time.sleep(_POLL_S)
                    self._settle_some()
                    self.observer.polled([*self.running.values()])
                    stop.raise_if_received()
        finally:
            if self.running:
                self.observer.stopping(len(self.running))
                self.launcher.stop()

    def _start_some(self) -> None:
        """Start as many runs as the launcher has slots, except those done or held elsewhere."""
        self._look_at_busy()
        end = time.monotonic() + _TURN_S
        before = self.launcher.started_before() if self.waiting else frozenset()
        while self.waiting and len(self.running) < self.launcher.slots:
            if not self.next_start <= time.monotonic() < end:
                return
            run = self.waiting.popleft()
            match run.stage():
                case "finished" | "diverged":
                    self.observer.done(run, elsewhere=True)
                case "busy":
                    self._postpone(run)
                case _ if run.name in before:
                    self._postpone(run)
                case _:
                    self._start(run)

    def _look_at_busy(self) -> None:
        """Put runs back that no other process works on any more."""
        began = time.monotonic()
        if not self.busy or began < self.next_busy_poll:
            return
        before = self.launcher.started_before()
        held = [run for run in self.busy if run.stage() == "busy" or run.name in before]
        names = {run.name for run in held}
        self.waiting.extend(run for run in self.busy if run.name not in names)
        self.busy = held
        took = time.monotonic() - began
        self.next_busy_poll = time.monotonic() + max(_POLL_BUSY_S, 20 * took)

    def _start(self, run: PlannedRun) -> None:
        """Start a run; where its place takes none now, all wait.

        Raises UserError if the place has taken no run yet: then the request is wrong.
        """
        arguments = (*run.arguments, *self.launcher.arguments)
        _open_log(run, shlex.join(("dstbench", *arguments)))
        try:
            self.launcher.start(Task(run.name, arguments, run.log, self.environment))
        except NotStarted as error:
            if not self.attempts:
                _remove_log(run)
                raise UserError(f"No run could be started: {error}") from None
            self.waiting.appendleft(run)
            self.next_start = time.monotonic() + _REFUSED_S
            self.observer.refused(str(error))
            return
        self.attempts[run.name] += 1
        self.running[run.name] = run
        self.observer.started(run, self.attempts[run.name])

    def _postpone(self, run: PlannedRun) -> None:
        """Check a run again later, because another process works on it."""
        self.busy.append(run)
        self.observer.busy_elsewhere(run)

    def _settle_some(self) -> None:
        for end in self.launcher.ended():
            self._settle(self.running.pop(end.task.name), end)

    def _settle(self, run: PlannedRun, end: End) -> None:
        """Decide about a run whose process ended, by its record first, then by how it ended."""
        if run.stage() in OVER:
            self.observer.done(run, elsewhere=False)
        elif end.code == _INPUT_ERROR and BUSY in last_line(run):
            self.attempts[run.name] -= 1
            self._postpone(run)
        elif end.code == _INPUT_ERROR:
            self._fail(run, last_line(run))
        elif (why := _taken_away(end)) is not None and self.taken_away[run.name] < _MOST_TAKEN_AWAY:
            self.attempts[run.name] -= 1
            self.taken_away[run.name] += 1
            self.observer.stopped(run, why)
            self.waiting.append(run)
        elif self.attempts[run.name] > self.retries:
            times = self.attempts[run.name]
            how = _describe(end, run)
            self._fail(run, f"died {times} time{'s'[: times != 1]}, the last time {how}")
        else:
            self.observer.died(run, _describe(end, run))
            self.waiting.append(run)

    def _fail(self, run: PlannedRun, why: str) -> None:
        self.failed[run] = why
        self.observer.failed(run, why)


def _taken_away(end: End) -> str | None:
    """Return in words what stopped a run that did not fail; None for any other end."""
    if end.code in SAVED_EXITS:
        return "by a signal, saved"
    return end.why if end.taken_away else None


def _describe(end: End, run: PlannedRun) -> str:
    """Return in words how a run died."""
    if end.code is None:
        return f"with its process lost: {end.why or 'nothing is known about it'}"
    code = f"signal {-end.code}" if end.code < 0 else f"exit code {end.code}"
    return f"with {code}: {last_line(run)}"


def last_line(run: PlannedRun) -> str:
    """Return the last line of the run's log."""
    try:
        with run.log.open("rb") as log:
            log.seek(max(0, log.seek(0, 2) - 2000))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line for line in reversed(lines) if line.strip()), "")


def _open_log(run: PlannedRun, command: str) -> None:
    """Note a start in the run's log. Raises UserError if the folder cannot be written."""
    shown = printable(without_password(command))
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        with run.log.open("a", encoding="utf-8") as log:
            log.write(f"{LOG_HEADER}{time.strftime('%Y-%m-%d %H:%M:%S')} {shown}\n")
    except OSError as error:
        raise UserError(
            f"{run.folder}: cannot be written ({error.strerror}). Choose another folder with "
            "--runs DIR."
        ) from None


def _remove_log(run: PlannedRun) -> None:
    """Remove the log of a run that was refused at its first start, and a folder without more."""
    with suppress(OSError):
        if run.log.read_text(encoding="utf-8").count(LOG_HEADER) == 1:
            run.log.unlink()
            run.folder.rmdir()
