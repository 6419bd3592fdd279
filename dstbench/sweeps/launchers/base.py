"""The interface of launchers, and their options.

A launcher starts runs, reports which have ended, and stops them. The scheduler decides what to
start, what succeeded and what to retry.
"""

import ast
import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dstbench.errors import UserError, did_you_mean

NAMES = ("local", "ray", "slurm")  # a module each, beside this one


@dataclass(frozen=True)
class Task:
    """One run to be started.

    name: name of its run folder.
    arguments: its command line, after `dstbench`.
    log: file for its output.
    environment: variables that its process gets beside those of this one. They may hold a
        password, so they are written nowhere.
    """

    name: str
    arguments: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class End:
    """How a run's process ended.

    task: the run.
    code: its exit code; negative for a signal, None if its process is lost.
    why: what is known about a lost process, else ''.
    taken_away: whether its machine was taken from it, which is no fault of the run: preempted,
        cancelled, or the machine failed.
    """

    task: Task
    code: int | None
    why: str = ""
    taken_away: bool = False


class NotStarted(Exception):
    """A launcher could not start a run. The text is the reason, in one line."""


class Launcher(Protocol):
    """Starts and stops runs in one kind of place.

    slots: how many runs it takes at a time.
    arguments: what it adds to the command line of each run.
    """

    slots: int
    arguments: tuple[str, ...]

    def start(self, task: Task) -> None:
        """Start a run, its output appended to the log. Raises NotStarted."""

    def started_before(self) -> frozenset[str]:
        """Return the names of runs that an earlier sweep started and that have not ended.

        A name is that of a task. Only a place with a queue of its own knows them.
        """

    def ended(self) -> list[End]:
        """Return the runs that ended since the last call."""

    def stop(self) -> None:
        """Ask all runs to save and stop, and wait until they have."""

    def close(self) -> None:
        """Release the resources of the launcher; no process is left."""


@dataclass(frozen=True)
class LaunchOptions:
    """Options of a launcher.

    workers: runs at a time, None for the launcher's default.
    threads: CPU threads per run, None for the launcher's default.
    device: as for `dstbench run --device`.
    runs: folder of run folders.
    options: the launcher's own options (--launch).
    """

    workers: int | None
    threads: int | None
    device: str
    runs: Path
    options: Mapping[str, Any]

    def refuse_unknown(self, allowed: Sequence[str]) -> None:
        """Raise UserError for an option of the launcher that is not in `allowed`."""
        for name in self.options:
            if name not in allowed:
                raise UserError(f"--launch {name}: no such option.{did_you_mean(name, allowed)}")


def open_launcher(name: str, options: LaunchOptions) -> Launcher:
    """Return the launcher called `name`.

    Raises UserError for another name, and for options that it cannot satisfy.
    """
    if name not in NAMES:
        raise UserError(f"launcher = {name!r}: expected one of {', '.join(NAMES)}.")
    return importlib.import_module(f"dstbench.sweeps.launchers.{name}").open_launcher(options)


def parse_options(texts: Sequence[str]) -> dict[str, Any]:
    """Return the values of `--launch NAME=VALUE`, Python literals as values.

    Raises UserError for text of another form.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise UserError(f"--launch {text!r}: expected NAME=VALUE, such as gpus=0.5.")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found


def require_package(package: str, launcher: str) -> None:
    """Raise UserError, with how to install it, if the launcher's package is not installed."""
    if importlib.util.find_spec(package) is None:
        raise UserError(
            f"--launcher {launcher} needs {package}: pip install 'dstbench[{launcher}]'"
        )
