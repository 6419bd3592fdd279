"""What a person sees while a run goes on, and the summary at its end."""

import os
import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from dstbench.sparsity import percent


class _Console(Console):
    """Goes on in silence when its reader leaves, as `head` does: a run is worth more."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        self.file = open(os.devnull, "w")  # noqa: SIM115 (for as long as the process lives)


class Reporter:
    """Prints to a terminal: a bar that moves with the steps, a line an epoch, notes in between.

    Where the output is not a terminal (a log file, CI) there is no bar, and epochs that follow
    each other within a second are thinned out.
    """

    def __init__(self, console: Console | None = None, quiet: bool = False):
        self.console = console or _Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self.quiet = quiet
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._last_line = 0.0

    def note(self, text: str) -> None:
        """Something worth knowing, once."""
        self.console.print(text, markup=False)

    def start(self, step: int, total_steps: int) -> None:
        if not self.quiet and self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f}%"),
                TimeRemainingColumn(),
            )  # fmt: skip
            self._bar = Progress(*columns, console=self.console, transient=True)
            self._task = self._bar.add_task("training", total=total_steps, completed=step)
            self._bar.start()

    def step(self, step: int) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step)

    def epoch(self, line: dict[str, Any], epochs: int, seconds: float) -> None:
        """One line about a finished epoch."""
        now, last = time.monotonic(), line["epoch"] == epochs
        thinned = not self.console.is_terminal and now - self._last_line < 1.0 and not last
        if self.quiet or thinned:
            return
        self._last_line = now
        share = line["live_path_share"]
        paths = "" if share is None else f"  live paths {100 * share:5.1f}%"
        self.console.print(
            f"epoch {line['epoch']:>{len(str(epochs))}}/{epochs}"
            f"  loss {line['train_loss']:.4f}  train {line['train_accuracy']:6.2f}%"
            f"  val {line['val_accuracy']:6.2f}%  sparsity {100 * line['sparsity']:.4g}%"
            f"{paths}  {seconds:.1f} s",
            markup=False,
        )

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def summary(record: dict[str, Any], where: str, tracked: str) -> str:
    """The end of a run, a line each: what it came to, and where it is kept."""
    rows = [*summary_rows(record), ("record", where), ("MLflow", tracked)]
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}}  {value}" for label, value in rows)


def summary_rows(record: dict[str, Any]) -> list[tuple[str, str]]:
    """(label, value) of what a run came to."""
    accuracy, sparsity, cost = record["accuracy"], record["sparsity"], record["cost"]
    rows = [
        (
            "run",
            f"{record['method']} · {record['model']} · {record['dataset']} · seed {record['seed']}"
            f" · {record['protocol']} · {record['precision']}",
        )
    ]
    if record["status"] != "finished":
        return [*rows, ("status", record["status"] + (f": {e}" if (e := record["error"]) else ""))]
    at_best = (
        "none (no epoch counted)"
        if accuracy["test_at_best_val"] is None
        else f"{accuracy['test_at_best_val']:.2f} %  (epoch {accuracy['best_epoch']}, "
        f"validation {accuracy['best_val']:.2f} %)"
    )
    effective = sparsity["effective"]
    shown = "unknown" if effective is None else percent(effective)
    rows += [
        ("test accuracy", f"{accuracy['test_final']:.2f} %  (final epoch)"),
        ("  at best validation", at_best),
        (
            "sparsity",
            f"asked {percent(sparsity['asked'])} · measured {percent(sparsity['measured'])}"
            f" · effective {shown}",
        ),
        (
            "MACs",
            f"{_count(cost['macs'])} of {_count(cost['dense_macs'])} dense "
            f"({cost['macs'] / max(cost['dense_macs'], 1):.4f}×)",
        ),
        ("weights", f"{cost['live_weights']:,} live of {cost['prunable_weights']:,}"),
    ]
    if accuracy["selected_on_test"]:
        rows.append(("selected on test", "yes: the best epoch was chosen on the test images"))
    if record["health"]["collapsed"]:
        rows.append(("collapsed", "yes: the network answers no better than chance"))
    return rows


def _count(number: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.2f} {unit}"
    return f"{number:.0f}"
