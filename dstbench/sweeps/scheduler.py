"""Schedules the runs of a sweep: starts missing runs, resumes interrupted ones, retries crashes.

One failure stops no other run. All state is in the run folders, so a sweep may be killed at any
moment and started again, and several sweeps may work on one folder of runs: each run folder has a
lock.
"""

import shlex
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dstbench.errors import UserError
from dstbench.recording.record import OVER
from dstbench.sweeps.launchers.base import Launcher, Task
from dstbench.sweeps.plan import PlannedRun
from dstbench.utils.printable import printable
from dstbench.utils.signals import SAVED_EXITS, GracefulStop

_POLL_S = 0.1
_POLL_BUSY_S = 2.0  # between two checks of runs that other processes work on
_INPUT_ERROR = 2  # exit code of a mistake in the input, which a retry does not change
LOG_HEADER = "--- "  # begins the line of each start in a run's log
_BUSY = "is working on this run"  # in a run's message that another process holds its lock


class SweepObserver(Protocol):
    """Receives the events of a sweep."""

    def started(self, run: PlannedRun, attempt: int) -> None: ...
    def done(self, run: PlannedRun, elsewhere: bool) -> None: ...
    def died(self, run: PlannedRun, code: int | None) -> None: ...
    def stopped(self, run: PlannedRun) -> None: ...
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
    failed: the runs that failed, each with the reason.
    """

    runs: Sequence[PlannedRun]
    launcher: Launcher
    retries: int
    observer: SweepObserver
    failed: dict[PlannedRun, str] = field(default_factory=dict)

    def run_all(self) -> None:
        """Run until all runs are done or failed.

        Raises Interrupted after a signal, when all runs have saved.
        """
        self.waiting = deque(self.runs)
        self.running: dict[str, PlannedRun] = {}
        self.busy: list[PlannedRun] = []
        self.attempts: Counter[str] = Counter()
        self.next_busy_poll = 0.0
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
                self.launcher.stop()

    def _start_some(self) -> None:
        """Start as many runs as the launcher has slots, except those done or held elsewhere."""
        if time.monotonic() >= self.next_busy_poll:
            self.next_busy_poll = time.monotonic() + _POLL_BUSY_S
            self.waiting.extend(run for run in self.busy if run.stage() != "busy")
            self.busy = [run for run in self.busy if run not in self.waiting]
        while self.waiting and len(self.running) < self.launcher.slots:
            run = self.waiting.popleft()
            match run.stage():
                case "finished" | "diverged":
                    self.observer.done(run, elsewhere=True)
                case "busy":
                    self._postpone(run)
                case _:
                    self._start(run)

    def _start(self, run: PlannedRun) -> None:
        self.attempts[run.name] += 1
        arguments = (*run.arguments, *self.launcher.arguments)
        _open_log(run, shlex.join(("dstbench", *arguments)))
        self.launcher.start(Task(run.name, arguments, run.log))
        self.running[run.name] = run
        self.observer.started(run, self.attempts[run.name])

    def _postpone(self, run: PlannedRun) -> None:
        """Check a run again later, because another process works on it."""
        self.busy.append(run)
        self.observer.busy_elsewhere(run)

    def _settle_some(self) -> None:
        for task, code in self.launcher.ended():
            self._settle(self.running.pop(task.name), code)

    def _settle(self, run: PlannedRun, code: int | None) -> None:
        """Decide about a run whose process ended, by its record first, then by its exit code."""
        if run.stage() in OVER:
            self.observer.done(run, elsewhere=False)
        elif code == _INPUT_ERROR and _BUSY in last_line(run):
            self.attempts[run.name] -= 1
            self._postpone(run)
        elif code == _INPUT_ERROR:
            self._fail(run, last_line(run))
        elif code in SAVED_EXITS:  # stopped by a signal, with everything saved: no death
            self.attempts[run.name] -= 1
            self.observer.stopped(run)
            self.waiting.append(run)
        elif self.attempts[run.name] > self.retries:
            times = self.attempts[run.name]
            exit = describe_exit(code)
            self._fail(run, f"died {times} times, the last time with {exit}: {last_line(run)}")
        else:
            self.observer.died(run, code)
            self.waiting.append(run)

    def _fail(self, run: PlannedRun, why: str) -> None:
        self.failed[run] = why
        self.observer.failed(run, why)


def describe_exit(code: int | None) -> str:
    """Return an exit code in words. code: negative for a signal, None for a lost worker."""
    if code is None:
        return "its worker lost"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


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
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        with run.log.open("a", encoding="utf-8") as log:
            log.write(f"{LOG_HEADER}{time.strftime('%Y-%m-%d %H:%M:%S')} {printable(command)}\n")
    except OSError as error:
        raise UserError(
            f"{run.folder}: cannot be written ({error.strerror}). Choose another folder with "
            "--runs DIR."
        ) from None
