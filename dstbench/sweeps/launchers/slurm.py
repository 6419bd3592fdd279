"""The Slurm launcher: runs are Slurm jobs, submitted with submitit.

A job that is preempted or out of time is queued again. Options: cluster=local runs jobs without
Slurm; all others are submitit's, such as timeout_min, slurm_partition, gpus_per_node,
cpus_per_task, mem_gb.
"""

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from dstbench.errors import UserError
from dstbench.sweeps.launchers.base import Launcher, LaunchOptions, Task, require_package
from dstbench.utils.processes import environment, python

_GRACE_S = 60.0  # for a run to save before it is killed
_POLL_S = 0.2
_ALL = 10_000  # jobs submitted at once; Slurm queues them


class SlurmJob:
    """A job: the run in a child process, which saves and stops when the job must end.

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
        deadline = time.monotonic() + _GRACE_S
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(_POLL_S)


class Slurm:
    """Starts runs as jobs of a submitit executor.

    slots: jobs submitted at a time.
    threads: CPU threads per run.
    """

    def __init__(self, executor: Any, slots: int, threads: int):
        self.executor, self.slots = executor, slots
        self.arguments: tuple[str, ...] = ("--threads", str(threads))
        self.jobs: list[tuple[Any, Task]] = []

    def start(self, task: Task) -> None:
        job = SlurmJob(task.arguments, task.log.absolute(), Path.cwd())
        self.jobs.append((self.executor.submit(job), task))

    def ended(self) -> list[tuple[Task, int | None]]:
        gone = [(job, task) for job, task in self.jobs if job.done()]
        self.jobs = [pair for pair in self.jobs if pair not in gone]
        return [(task, _code(job)) for job, task in gone]

    def stop(self) -> None:
        for job, _ in self.jobs:
            job.cancel()  # Slurm first sends SIGTERM, also to the run
        deadline = time.monotonic() + _GRACE_S
        while any(not job.done() for job, _ in self.jobs) and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    def close(self) -> None:
        pass


def _code(job: Any) -> int | None:
    """Return the run's exit code, None if the job ended before the run."""
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        return job.result()
    except (FailedJobError, UncompletedJobError, OSError):
        return None


def open_launcher(wanted: LaunchOptions) -> Launcher:
    """Return the launcher. Raises UserError for options that submitit refuses."""
    require_package("submitit", "slurm")
    import submitit

    defaults = {"timeout_min": 24 * 60, "cpus_per_task": wanted.threads or 1, "name": "dstbench"}
    options: dict[str, Any] = {**defaults, **wanted.options}
    cluster = options.pop("cluster", "slurm")
    try:
        executor = submitit.AutoExecutor(wanted.runs / ".slurm", cluster, slurm_max_num_timeout=100)
        executor.update_parameters(**options)
    except (RuntimeError, ValueError, NameError, TypeError, AssertionError) as error:
        raise UserError(f"--launcher slurm: {str(error).splitlines()[0]}") from None
    return Slurm(executor, wanted.workers or _ALL, wanted.threads or options["cpus_per_task"])
