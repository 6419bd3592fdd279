"""Progress of a run, printed to a terminal or a log."""

import os
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from dstbench.recording.types import EpochLine
from dstbench.utils.printable import printable


class _Console(Console):
    """Prints nothing more when its reader has left, as `head` does; the run continues."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        self.file = open(os.devnull, "w")  # noqa: SIM115 (for as long as the process lives)


class Reporter:
    """Prints a progress bar of the steps, a line for each epoch, and notes.

    console: where to print; None for standard error.
    quiet: print notes only.

    Where the output is not a terminal (a log file, CI) there is no bar, and at most one line a
    second is printed for epochs.
    """

    def __init__(self, console: Console | None = None, quiet: bool = False):
        self.console = console or _Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self.quiet = quiet
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._last_line = 0.0

    def note(self, text: str) -> None:
        """Print a message."""
        self.console.print(printable(text), markup=False)

    def describe(self, text: str) -> None:
        """Print what is going to happen."""
        if not self.quiet:
            self.note(text)

    def start(self, step: int, total_steps: int) -> None:
        if not self.quiet and self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:.0f}%"),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self.console, transient=True)
            self._task = self._bar.add_task("training", total=total_steps, completed=step)
            self._bar.start()

    def step(self, step: int) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step)

    def epoch(self, line: EpochLine, epochs: int, seconds: float) -> None:
        """Print a line about a finished epoch.

        line: its line of the curves.
        epochs: of the whole run.
        seconds: that it took.
        """
        now, last = time.monotonic(), line["epoch"] == epochs
        thinned = not self.console.is_terminal and now - self._last_line < 1.0 and not last
        if self.quiet or thinned:
            return
        self._last_line = now
        self.console.print(epoch_text(line, epochs, seconds), markup=False)

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def epoch_text(line: EpochLine, epochs: int, seconds: float) -> str:
    """Return the line about a finished epoch, see `Reporter.epoch`."""
    fraction = line["live_path_share"]
    paths = "" if fraction is None else f"  live paths {100 * fraction:5.1f}%"
    return (
        f"epoch {line['epoch']:>{len(str(epochs))}}/{epochs}"
        f"  loss {line['train_loss']:.4f}  train {line['train_accuracy']:6.2f}%"
        f"  val {line['val_accuracy']:6.2f}%  sparsity {100 * line['sparsity']:.4g}%"
        f"{paths}  {seconds:.1f} s"
    )
