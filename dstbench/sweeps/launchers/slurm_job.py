"""What a Slurm job does: the run in a child process, which saves and stops when the job must end.

submitit pickles a SlurmJob and calls it on the machine of the job.
"""

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from dstbench.utils.processes import environment, python

GRACE_S = 60.0  # for a run to save before it is killed
_POLL_S = 0.2


class SlurmJob:
    """A job. Its environment is that of the submission, so it is not part of the pickle.

    arguments: the run's command line, after `dstbench`.
    log: file for its output.
    folder: working folder.
    """

    def __init__(self, arguments: tuple[str, ...], log: Path, folder: Path):
        self.arguments, self.log, self.folder = arguments, log, folder
        self.process: subprocess.Popen | None = None

    def __call__(self) -> int:
        """Run, and return the exit code."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                python("dstbench", *self.arguments),
                cwd=self.folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            while self.process.poll() is None:
                time.sleep(_POLL_S)
            return self.process.returncode
        finally:
            self._end()

    def checkpoint(self) -> Any:
        """Let the run save, and return the job to queue again; submitit calls this."""
        from submitit.helpers import DelayedSubmission

        self._end()
        return DelayedSubmission(SlurmJob(self.arguments, self.log, self.folder))

    def _end(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(_POLL_S)
