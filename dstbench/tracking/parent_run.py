"""The parent run of a sweep in MLflow, as the sweep sees it: a process that keeps it.

The process (`parent_process`) has its own connection, so that a store that is down or slow can
neither stop nor delay a sweep.
"""

import importlib.util
import json
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dstbench.tracking import child_process
from dstbench.tracking.parent_process import SweepMessage
from dstbench.tracking.store_uri import OFF, resolve


class ParentRun:
    """Keeps the parent run of a sweep, from its construction until `finish`.

    title, sha256: of the grid.
    folders: the run folders of the sweep.
    uri: an MLflow store, None for the default one, 'off' for none; then nothing is done.
    log: file for the output of the child process.
    """

    def __init__(
        self, title: str, sha256: str, folders: Sequence[Path], uri: str | None, log: Path
    ):
        self.process: subprocess.Popen[bytes] | None = None
        self.log = log
        resolved = resolve(uri)
        if resolved == OFF or importlib.util.find_spec("mlflow") is None:
            return
        with suppress(OSError):
            log.parent.mkdir(parents=True, exist_ok=True)
            self.process = child_process.start(
                "dstbench.tracking.parent_process", uri=resolved, log=log
            )
        paths = [str(folder.resolve()) for folder in folders]
        self._send(json.dumps(SweepMessage(title=title, sha256=sha256, folders=paths)))

    def finish(self, outcome: str, timeout_s: float) -> str | None:
        """Set the outcome; return the parent's place, or that it is not sent yet.

        outcome: an MLflow status.
        timeout_s: how long to wait; after that the child continues alone.

        Returns None when tracking is off.
        """
        if self.process is None or self.process.stdin is None:
            return None
        self._send(outcome)
        with suppress(OSError):
            self.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            if self.process.wait(timeout_s) == 0:
                return self.log.read_text(encoding="utf-8").splitlines()[-1]
        return f"the sweep is not in MLflow yet (see {self.log})"

    def _send(self, line: str) -> None:
        if self.process is not None and self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.write(f"{line}\n".encode())
                self.process.stdin.flush()
