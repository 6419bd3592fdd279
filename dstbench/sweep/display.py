"""What a person sees of a sweep: the plan before, the runs while they last, the failures after."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dstbench.sweep.plan import Planned, Stage, title
from dstbench.sweep.scheduler import HEADER, last_line, told

_STAGES: dict[Stage, str] = {
    "finished": "done",
    "diverged": "done: diverged",
    "busy": "another process works on it",
    "begun": "to go on with",
    "missing": "missing",
}
_REFRESH_S = 1.0


def duration(seconds: float) -> str:
    """A time as people say it."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def plan_table(stages: Mapping[Planned, Stage], seconds: Mapping[Planned, float | None]) -> Table:
    """Every run of the plan: what it is, how far it is, and how long what is left of it takes."""
    table = Table(box=None, pad_edge=False)
    table.add_column("run", no_wrap=True)
    table.add_column("recipe", no_wrap=True)
    table.add_column("is", no_wrap=True)
    table.add_column("takes", justify="right", no_wrap=True)
    for run, stage in stages.items():
        left = seconds.get(run)
        takes = "" if run not in seconds else "unknown" if left is None else duration(left)
        table.add_row(Text(title(run.job)), run.job.recipe, _STAGES[stage], takes)
    return table


def plan_summary(
    stages: Mapping[Planned, Stage], seconds: Mapping[Planned, float | None], workers: int
) -> str:
    """The plan in two lines: how many runs are in which state, and what is left in hours."""
    counted = Counter(stages.values())
    states = ", ".join(f"{counted[s]} {_STAGES[s]}" for s in _STAGES if counted[s])
    lines = [f"{len(stages)} run{'s'[: len(stages) != 1]}: {states}"]
    known = [s for s in seconds.values() if s is not None]
    unknown = len(seconds) - len(known)
    if known:
        at_once = min(workers, len(known))
        lines.append(
            f"about {duration(sum(known))} of work, {duration(sum(known) / at_once)} with "
            f"{at_once} run{'s'[: at_once > 1]} at a time, as like runs took here"
        )
    if unknown:
        lines.append(
            f"cost unknown of {unknown} run{'s'[: unknown > 1]}: no run like "
            f"{'them' if unknown > 1 else 'it'} is recorded here"
        )
    return "\n".join(lines)


class Board:
    """A line for every event; in a terminal, below them a bar and what is running."""

    def __init__(self, total: int, done: int, console: Console):
        self.total, self.settled, self.console = total, done, console
        self.failures = 0
        self.since: dict[Planned, float] = {}
        self.told_elsewhere: set[Planned] = set()
        self.live = Live(console=console, auto_refresh=False, transient=True)
        self.next_refresh = 0.0

    def __enter__(self) -> "Board":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    # --- the events -----------------------------------------------------------------------------

    def started(self, run: Planned, attempt: int) -> None:
        self.since[run] = time.monotonic()
        again = f"  (start {attempt})" if attempt > 1 else ""
        if not self.console.is_terminal:
            self.say(f"started   {title(run.job)}{again}")

    def done(self, run: Planned, elsewhere: bool) -> None:
        self.settled += 1
        record = run.record()
        assert record is not None
        accuracy = record["accuracy"].get(record["accuracy"].get("shown"))
        came_to = "diverged" if accuracy is None else f"{accuracy:.2f} %"
        took = "by another process" if elsewhere else duration(self.pop(run))
        self.say(f"done      {title(run.job)}  {came_to}  {took}")

    def died(self, run: Planned, code: int | None) -> None:
        self.pop(run)
        self.say(f"died      {title(run.job)}  with {told(code)}; it will be started again")

    def failed(self, run: Planned, why: str) -> None:
        self.pop(run)
        self.settled += 1
        self.failures += 1
        self.say(f"failed    {title(run.job)}  {why}")

    def elsewhere(self, run: Planned) -> None:
        self.since.pop(run, None)
        if run not in self.told_elsewhere:
            self.told_elsewhere.add(run)
            self.say(f"left      {title(run.job)}  another process is working on it")

    def pop(self, run: Planned) -> float:
        """The seconds since its last start."""
        return time.monotonic() - self.since.pop(run, time.monotonic())

    def say(self, text: str) -> None:
        width = len(str(self.total))
        line = f"[{self.settled:>{width}}/{self.total}] {text}"
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    # --- while they last ------------------------------------------------------------------------

    def looked(self, running: Sequence[Planned]) -> None:
        if not self.live.is_started or time.monotonic() < self.next_refresh:
            return
        self.next_refresh = time.monotonic() + _REFRESH_S
        table = Table(box=None, pad_edge=False, show_header=False)
        for overflow in ("fold", "fold", "ellipsis"):
            table.add_column(no_wrap=True, overflow=overflow)
        for run in running:
            took, said = duration(time.monotonic() - self.since[run]), last_line(run)
            said = "starting" if said.startswith(HEADER) else said
            table.add_row(Text(title(run.job)), took, Text(said))
        bar = ProgressBar(total=self.total, completed=self.settled, width=40)
        failed = f", {self.failures} failed" if self.failures else ""
        text = f" {self.settled} of {self.total} runs{failed}, {len(running)} running"
        self.live.update(Group(table, bar, Text(text)), refresh=True)
