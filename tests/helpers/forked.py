"""Runs functions and command lines in processes forked from one that has imported the package.

A new Python process imports torch for seconds, and tests of kills and signals start many. These are
processes like any other: with a pid, an environment, output and an exit code of their own.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from dstbench.sweeps.launchers.base import End, Task
from helpers.waiting import PATIENCE_S, wait_for

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    # The last three are imported by a run's first step otherwise.
    ["dstbench.cli.commands.run", "sklearn.datasets", "sympy", "torch._dynamo"]
)


class Forked:
    """A process that calls a function; it starts at once.

    function: a function of a module, which the process imports.
    args: its arguments.
    environment: variables to set besides those of this process.
    """

    def __init__(
        self, function: Callable, *args: object, environment: Mapping[str, str] | None = None
    ):
        folder = tempfile.TemporaryDirectory()
        self._folder = folder  # deleted with this object
        self._files = [Path(folder.name) / name for name in ("stdout", "stderr")]
        for file in self._files:
            file.touch()
        variables = {**os.environ, **(environment or {})}
        self._process = _CONTEXT.Process(
            target=_call, args=(function, args, variables, os.getcwd(), self._files), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        """What the process has written to stdout."""
        return self._files[0].read_text()

    @property
    def errors(self) -> str:
        """What the process has written to stderr."""
        return self._files[1].read_text()

    def wait_for(self, words: str) -> None:
        """Wait until stderr has these words; fail if the process ends without them."""
        wait_for(lambda: words in self.errors or self.wait(0) is not None)
        assert words in self.errors, self.errors

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout_s: float = PATIENCE_S) -> int | None:
        """Return the exit code, -N after signal N; None if it still runs after the timeout."""
        self._process.join(timeout_s)
        return self._process.exitcode


def dstbench(*argv: str, packages: Path | None = None) -> Forked:
    """Start a command line of dstbench, for example ("run", "methods/rigl.gin").

    packages: a folder of further installed packages.
    """
    return Forked(run_command, argv, packages)


def run_command(argv: tuple[str, ...], packages: Path | None = None) -> None:
    """Run a command line of dstbench in this process, and exit."""
    from dstbench.cli.main import main

    if packages is not None:
        sys.path.append(str(packages))
    sys.argv = ["dstbench", *argv]
    main()


class ForkedRuns:
    """A launcher of runs in forked processes, one at a time."""

    slots = 1
    arguments = ("--threads", "1")

    def __init__(self):
        self._running: list[tuple[Task, Forked]] = []

    def start(self, task: Task) -> None:
        self._running.append((task, dstbench(*task.arguments)))

    def started_before(self) -> frozenset[str]:
        return frozenset()

    def ended(self) -> list[End]:
        done = [(task, process) for task, process in self._running if process.wait(0) is not None]
        for task, process in done:
            self._running.remove((task, process))
            task.log.write_text(process.output + process.errors)
        return [End(task, process.wait()) for task, process in done]

    def stop(self) -> None:
        for _, process in self._running:
            process.send_signal(signal.SIGTERM)
            process.wait()

    def close(self) -> None:
        pass


def _call(
    function: Callable, args: tuple, variables: dict[str, str], folder: str, files: list[Path]
) -> None:
    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    function(*args)
