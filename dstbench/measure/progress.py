"""The progress of a measurement, on standard error: a bar of the time in a terminal, else lines."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar


class _TimeBar(BarColumn):
    """A bar of the time that has passed, which moves during long steps, too."""

    def render(self, task: Task) -> ProgressBar:
        total = task.total or 1.0
        return ProgressBar(total=total, completed=min(task.elapsed or 0.0, total), width=40)


@contextmanager
def progress(seconds: float, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Show progress within a block; yields what is called with the name of each step.

    seconds: that the block is to take at most.
    quiet: show nothing.
    """
    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
    if quiet:
        yield lambda text: None
    elif not console.is_terminal:
        start = time.monotonic()
        yield lambda text: console.print(
            f"measure: {time.monotonic() - start:3.0f} s: {text}", markup=False
        )
    else:
        columns = (_TimeBar(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
        with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
            task = bar.add_task("starting", total=seconds)
            yield lambda text: bar.update(task, description=text)
