"""Mirrors a run folder to MLflow during the run, from a child process.

The run folder is the original and MLflow a copy. The training process only starts the child
(mirror_process.py) and, at the end, waits for it for a limited time: a store that is down, slow or
locked can neither stop nor delay a run. `dstbench sync` (sync.py) sends what is missing later.
"""

import importlib.util
import shlex
import subprocess
from pathlib import Path

from dstbench.errors import UserError
from dstbench.recording.file_names import MIRROR_LOG
from dstbench.tracking import child_process, run_reference
from dstbench.tracking.store_uri import OFF, resolve
from dstbench.utils.passwords import without_password


class Mirror:
    """Mirrors one run folder from its construction until `finish`.

    folder: the run folder.
    uri: an MLflow store, None for the default one, 'off' for none.

    The child's output goes to mirror.log in the run folder.
    """

    def __init__(self, folder: Path, uri: str | None = None):
        self.folder, self.given = folder, uri
        self.idle: str | None = None  # why nothing is mirrored
        try:
            resolved = resolve(uri)
        except UserError as error:
            self.idle = f"not mirrored: {error.message}"
            return
        if resolved == OFF:
            self.idle = OFF
        elif importlib.util.find_spec("mlflow") is None:
            self.idle = f"{OFF} (MLflow is not installed)"
        if self.idle is not None:
            return
        module = "dstbench.tracking.mirror_process"
        try:
            self.process = child_process.start(
                module, str(folder), uri=resolved, log=folder / MIRROR_LOG
            )
        except OSError as error:
            self.idle = f"{self._later()} (cannot be started: {error.strerror or error})"

    def finish(self, timeout_s: float) -> str:
        """Request the last pass, wait for it, and return a line about the result.

        timeout_s: how long to wait; after that the child continues alone.

        The record must be in its final state.
        """
        if self.idle is not None:
            return self.idle
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            complete = self.process.wait(timeout_s) == 0
        except subprocess.TimeoutExpired:
            complete = False
        if complete and (reference := run_reference.read(self.folder)):
            return reference["place"]
        return f"{self._later()} (see {self.folder / MIRROR_LOG})"

    def _later(self) -> str:
        store = f" --tracking {shlex.quote(without_password(self.given))}" if self.given else ""
        folder = shlex.quote(str(self.folder))
        return f"not mirrored yet; to send it later: dstbench sync {folder}{store}"


def mirrored_to(folder: Path) -> str:
    """Return where a run folder was mirrored to, or how to mirror it."""
    if reference := run_reference.read(folder):
        return reference["place"]
    return f"not mirrored; to send it: dstbench sync {shlex.quote(str(folder))}"
