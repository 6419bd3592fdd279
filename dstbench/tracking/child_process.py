"""Child processes that follow their parent until it finishes or dies.

The child's standard input is a pipe from its parent, which ends when the parent does, however that
happens. The child then makes a last pass and exits; after a time limit it exits in any case.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from dstbench.utils.processes import environment, python

_LINGER_S = 60.0  # how long the last pass may take


def start(module: str, *arguments: str, uri: str, log: Path) -> subprocess.Popen[bytes]:
    """Start a module of the suite as a child process; its standard input is a pipe.

    uri: the MLflow store. It is not an argument: it may hold a password, and `ps` shows arguments.
    log: file for the child's output.

    Raises OSError if the child cannot be started.
    """
    with log.open("ab") as file:
        return subprocess.Popen(
            python(module, *arguments),
            env=environment(MLFLOW_TRACKING_URI=uri),
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
            start_new_session=True,  # Ctrl-C in the terminal must not reach it
        )


def follow_until_eof(
    follow: Callable[[threading.Event], bool], receive: Callable[[bytes], None], late: str
) -> NoReturn:
    """Run `follow` in this process, and exit with 0 if it returns True, else with 1.

    follow: called with an event that is set when standard input ends; must then return soon.
    receive: called with each line of standard input, in another thread.
    late: message if `follow` does not return in time.
    """
    # A signal that stops the parent must not stop this process before it has seen the end.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(10)  # the parent's work comes first
    ended = threading.Event()

    def watch_stdin() -> None:
        for line in sys.stdin.buffer:
            receive(line)
        ended.set()
        time.sleep(_LINGER_S)
        print(late, flush=True)
        os._exit(1)

    threading.Thread(target=watch_stdin, daemon=True).start()
    sys.exit(0 if follow(ended) else 1)
