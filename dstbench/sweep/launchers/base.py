"""Where the runs of a sweep are carried out: processes here, Ray, or Slurm.

A launcher only starts runs, tells which have ended, and stops them. What is to be done, what ended
well and what is started again is decided in one place, dstbench/sweep.
"""

import ast
import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dstbench.errors import UserError, did_you_mean

NAMES = ("local", "ray", "slurm")


@dataclass(frozen=True)
class Task:
    """One run to be carried out. arguments: what is typed after `dstbench`. log: for its output."""

    name: str
    arguments: tuple[str, ...]
    log: Path


class Launcher(Protocol):
    """One way of carrying out runs. Closed, it has left nothing behind."""

    slots: int  # how many runs it takes at a time
    arguments: tuple[str, ...]  # that each run is to be given

    def start(self, task: Task) -> None:
        """Carry out a run, its output appended to the log."""

    def ended(self) -> list[tuple[Task, int | None]]:
        """The runs that ended since the last call, each with its exit code.

        The code is None, or negative, for a worker that died.
        """

    def stop(self) -> None:
        """Ask all runs to save and stop, and wait until they have."""

    def close(self) -> None:
        """Let go of what the launcher itself holds."""


@dataclass(frozen=True)
class LaunchOptions:
    """What was asked of a launcher.

    workers: runs at a time, None for the launcher's default. threads: CPU threads a run, None
    likewise. device: as typed. runs: the folder of run folders. options: its own, --launch.
    """

    workers: int | None
    threads: int | None
    device: str
    runs: Path
    options: Mapping[str, Any]

    def only(self, allowed: Sequence[str]) -> None:
        """Raise UserError for an option that is not among the allowed."""
        for name in self.options:
            if name not in allowed:
                raise UserError(f"--launch {name}: no such option.{did_you_mean(name, allowed)}")


def launcher(name: str, wanted: LaunchOptions) -> Launcher:
    """The launcher of that name. Raises UserError for what it cannot do here."""
    return importlib.import_module(f"dstbench.sweep.launchers.{name}").open_launcher(wanted)


def options(texts: Sequence[str]) -> dict[str, Any]:
    """--launch NAME=VALUE → values, numbers as numbers. Raises UserError for anything else."""
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


def needs(package: str, extra: str) -> None:
    """Raise UserError, saying how to install it, where a package is missing."""
    if importlib.util.find_spec(package) is None:
        raise UserError(f"--launcher {extra} needs {package}: pip install 'dstbench[{extra}]'")
