"""A grid of runs brought to its end: what is missing is run, what was begun goes on, what died is
started again, and no failure stops the rest.

Nothing is remembered but in the runs' own folders, so a sweep may be killed at any moment and typed
again, and several may work on one folder: the lock of a run's folder keeps them apart.
"""

import shlex
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dstbench.errors import UserError
from dstbench.records.record import OVER
from dstbench.sweep.launchers.base import Launcher, Task
from dstbench.sweep.plan import Planned
from dstbench.utils.signals import GracefulStop

_LOOK_S = 0.1
_LOOK_ELSEWHERE_S = 2.0  # between two looks at runs that other processes work on
_MISTAKE = 2  # exit code of what is wrong with the input: trying again changes nothing
HEADER = "--- "  # how a start begins in a run's log
_BUSY = "is working on this run"  # how a run says that another process has it


class SweepObserver(Protocol):
    """Who is told what happens, to show it."""

    def started(self, run: Planned, attempt: int) -> None: ...
    def done(self, run: Planned, elsewhere: bool) -> None: ...
    def died(self, run: Planned, code: int | None) -> None: ...
    def failed(self, run: Planned, why: str) -> None: ...
    def elsewhere(self, run: Planned) -> None: ...
    def looked(self, running: Sequence[Planned]) -> None: ...


@dataclass
class Sweep:
    """The runs that are not done yet, and what became of them.

    retries: how many times a run that died is started again.
    """

    runs: Sequence[Planned]
    launcher: Launcher
    retries: int
    witness: SweepObserver
    failed: dict[Planned, str] = field(default_factory=dict)

    def go(self) -> None:
        """Bring all runs to their end. Raises Interrupted after a signal, with all runs saved."""
        self.waiting = deque(self.runs)
        self.running: dict[str, Planned] = {}
        self.busy: list[Planned] = []
        self.attempts: Counter[str] = Counter()
        self.look_elsewhere = 0.0
        stop = GracefulStop()
        try:
            with stop:
                while self.waiting or self.running or self.busy:
                    self.start_some()
                    time.sleep(_LOOK_S)
                    self.settle_some()
                    self.witness.looked([*self.running.values()])
                    stop.raise_if_received()
        finally:
            if self.running:
                self.launcher.stop()

    def start_some(self) -> None:
        """Start as many runs as the launcher takes, but none that others have done or hold."""
        if time.monotonic() >= self.look_elsewhere:
            self.look_elsewhere = time.monotonic() + _LOOK_ELSEWHERE_S
            self.waiting.extend(run for run in self.busy if run.stage() != "busy")
            self.busy = [run for run in self.busy if run not in self.waiting]
        while self.waiting and len(self.running) < self.launcher.slots:
            run = self.waiting.popleft()
            match run.stage():
                case "finished" | "diverged":
                    self.witness.done(run, elsewhere=True)
                case "busy":
                    self.leave(run)
                case _:
                    self.start(run)

    def start(self, run: Planned) -> None:
        self.attempts[run.name] += 1
        arguments = (*run.arguments, *self.launcher.arguments)
        open_log(run, shlex.join(("dstbench", *arguments)))
        self.launcher.start(Task(run.name, arguments, run.log))
        self.running[run.name] = run
        self.witness.started(run, self.attempts[run.name])

    def leave(self, run: Planned) -> None:
        """Come back to a run that another process works on."""
        self.busy.append(run)
        self.witness.elsewhere(run)

    def settle_some(self) -> None:
        for task, code in self.launcher.ended():
            self.settle(self.running.pop(task.name), code)

    def settle(self, run: Planned, code: int | None) -> None:
        """What became of a run that is not running any more: its record decides, not its code."""
        if run.stage() in OVER:
            self.witness.done(run, elsewhere=False)
        elif code == _MISTAKE and _BUSY in last_line(run):
            self.attempts[run.name] -= 1
            self.leave(run)
        elif code == _MISTAKE:
            self.give_up(run, last_line(run))
        elif self.attempts[run.name] > self.retries:
            times = self.attempts[run.name]
            self.give_up(run, f"died {times} times, at last with {told(code)}: {last_line(run)}")
        else:
            self.witness.died(run, code)
            self.waiting.append(run)

    def give_up(self, run: Planned, why: str) -> None:
        self.failed[run] = why
        self.witness.failed(run, why)


def open_log(run: Planned, typed: str) -> None:
    """Note in the run's log that it is started. Raises UserError for a folder it cannot have."""
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        with run.log.open("a", encoding="utf-8") as log:
            log.write(f"{HEADER}{time.strftime('%Y-%m-%d %H:%M:%S')} {typed}\n")
    except OSError as error:
        raise UserError(
            f"{run.folder}: cannot be written ({error.strerror}). Choose another place with "
            "--runs DIR."
        ) from None


def told(code: int | None) -> str:
    """An exit code in words."""
    if code is None:
        return "its worker lost"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def last_line(run: Planned) -> str:
    """What the run said last."""
    try:
        with run.log.open("rb") as log:
            log.seek(max(0, log.seek(0, 2) - 2000))
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line for line in reversed(lines) if line.strip()), "")
