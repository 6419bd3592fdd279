"""What a sweep prints: the plan before it, the runs during it."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dstbench.sweeps.plan import PlannedRun, Stage, title
from dstbench.sweeps.scheduler import LOG_HEADER, last_line

_STAGES: dict[Stage, str] = {
    "finished": "done",
    "diverged": "done: diverged",
    "published": "published",
    "busy": "running elsewhere",
    "interrupted": "interrupted",
    "missing": "missing",
}
_REFRESH_S = 1.0
_SHOWN = 20  # runs in the view of what runs

Seconds = Mapping[PlannedRun, float | None]  # time left, None if unknown


def duration(seconds: float) -> str:
    """Return a time in the largest unit of which it has two."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def plan_table(stages: Mapping[PlannedRun, Stage], seconds: Seconds) -> Table:
    """Return the table of all runs, each with its status and the time left."""
    table = Table(box=None, pad_edge=False)
    table.add_column("run", no_wrap=True)
    table.add_column("recipe", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("time left", justify="right", no_wrap=True)
    for run, stage in stages.items():
        left = seconds.get(run)
        text = "" if run not in seconds else "unknown" if left is None else duration(left)
        table.add_row(Text(title(run.job)), Text(run.job.recipe), _STAGES[stage], text)
    return table


def plan_summary(stages: Mapping[PlannedRun, Stage], seconds: Seconds, workers: int) -> str:
    """Return the number of runs by status, and the time left.

    workers: runs at a time.
    """
    counted = Counter(stages.values())
    states = ", ".join(f"{counted[s]} {_STAGES[s]}" for s in _STAGES if counted[s])
    lines = [f"{len(stages)} run{'s'[: len(stages) != 1]}: {states}"]
    known = [s for s in seconds.values() if s is not None]
    unknown = len(seconds) - len(known)
    if known:
        at_once = min(workers, len(known))
        lines.append(
            f"estimated time: {duration(sum(known))} one by one, "
            f"{duration(sum(known) / at_once)} with {at_once} run{'s'[: at_once > 1]} at a time"
        )
    if unknown:
        lines.append(
            f"time unknown for {unknown} run{'s'[: unknown > 1]}: no similar run is recorded here"
        )
    return "\n".join(lines)


def reported_accuracy(record: Mapping[str, Any]) -> float | None:
    """Return the test accuracy that a run's protocol shows, in percent; None without one."""
    found: float | None = record["accuracy"].get(record["accuracy"].get("shown"))
    return found


class SweepDisplay:
    """Prints a line for every event of a sweep; a terminal also shows progress and what runs.

    total: number of runs.
    done: how many are done already.
    console: where to print.
    accuracy: record → what is printed of a finished run, in percent; None for nothing.
    """

    def __init__(
        self,
        total: int,
        done: int,
        console: Console,
        accuracy: Callable[[Mapping[str, Any]], float | None] = reported_accuracy,
    ):
        self.total, self.settled, self.console = total, done, console
        self.accuracy = accuracy
        self.failures = 0
        self.since: dict[PlannedRun, float] = {}  # time of the last start
        self.reported_busy: set[PlannedRun] = set()
        self.last_refusal = ""
        self.live = Live(console=console, auto_refresh=False, transient=True)
        self.next_refresh = 0.0

    def __enter__(self) -> "SweepDisplay":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    # --- the events -----------------------------------------------------------------------------

    def started(self, run: PlannedRun, attempt: int) -> None:
        self.since[run] = time.monotonic()
        again = f"  (attempt {attempt})" if attempt > 1 else ""
        if not self.console.is_terminal:
            self._print(f"started   {title(run.job)}{again}")

    def done(self, run: PlannedRun, elsewhere: bool) -> None:
        self.settled += 1
        record = run.record()
        assert record is not None
        accuracy = self.accuracy(record)
        known = "" if accuracy is None else f"{accuracy:.2f} %"
        result = "diverged" if record["status"] == "diverged" else known
        took = "by another process" if elsewhere else duration(self._pop(run))
        self._print(f"done      {title(run.job)}  {result}  {took}")

    def died(self, run: PlannedRun, how: str) -> None:
        self._pop(run)
        self._print(f"died      {title(run.job)}  {how}; will be retried")

    def stopped(self, run: PlannedRun, how: str) -> None:
        self._pop(run)
        self._print(f"stopped   {title(run.job)}  {how}; will be resumed")

    def refused(self, why: str) -> None:
        if why != self.last_refusal:
            self.last_refusal = why
            self._print(f"waiting   no further run could be started: {why}; tried again later")

    def stopping(self, running: int) -> None:
        self._print(f"stopping  {running} run{'s'[: running != 1]}; each saves first")

    def failed(self, run: PlannedRun, why: str) -> None:
        self._pop(run)
        self.settled += 1
        self.failures += 1
        self._print(f"failed    {title(run.job)}  {why}")

    def busy_elsewhere(self, run: PlannedRun) -> None:
        self.since.pop(run, None)
        if run not in self.reported_busy:
            self.reported_busy.add(run)
            self._print(f"waiting   {title(run.job)}  another process is working on it")

    def polled(self, running: Sequence[PlannedRun]) -> None:
        """Refresh the terminal's view of what runs."""
        if not self.live.is_started or time.monotonic() < self.next_refresh:
            return
        self.next_refresh = time.monotonic() + _REFRESH_S
        table = Table(box=None, pad_edge=False, show_header=False)
        for overflow in ("fold", "fold", "ellipsis"):
            table.add_column(no_wrap=True, overflow=overflow)
        for run in running[:_SHOWN]:
            took, line = duration(time.monotonic() - self.since[run]), last_line(run)
            line = "starting" if line.startswith(LOG_HEADER) else line
            table.add_row(Text(title(run.job)), took, Text(line))
        if len(running) > _SHOWN:
            table.add_row(Text(f"and {len(running) - _SHOWN:,} more"))
        bar = ProgressBar(total=self.total, completed=self.settled, width=40)
        failed = f", {self.failures} failed" if self.failures else ""
        text = f" {self.settled} of {self.total} runs{failed}, {len(running)} running"
        self.live.update(Group(table, bar, Text(text)), refresh=True)

    # --------------------------------------------------------------------------------------------

    def _pop(self, run: PlannedRun) -> float:
        """Return the seconds since the run's last start, and forget it."""
        return time.monotonic() - self.since.pop(run, time.monotonic())

    def _print(self, text: str) -> None:
        width = len(str(self.total))
        line = f"[{self.settled:>{width}}/{self.total}] {text}"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)
