"""The Slurm launcher: runs are Slurm jobs, submitted with submitit.

A job that is preempted or out of time is queued again. Options: cluster=local runs jobs without
Slurm; all others are submitit's, such as timeout_min, slurm_partition, gpus_per_node,
cpus_per_task, mem_gb.
"""

import io
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

from dstbench.errors import UserError
from dstbench.sweeps.launchers.base import (
    End,
    Launcher,
    LaunchOptions,
    NotStarted,
    Task,
    require_package,
)
from dstbench.sweeps.launchers.slurm_job import GRACE_S, SlurmJob
from dstbench.sweeps.launchers.slurm_queue import SlurmQueue

_POLL_S = 0.2
_RESULT_S = 20.0  # until a result is seen that another machine wrote to the shared disk
_SLURMS_OWN = re.compile(r"srun: |slurmstepd|\S*slurm_script: ")
_LONGEST = 300  # characters of a reason
_ALL = 10_000  # jobs submitted at once; Slurm queues them


class Slurm:
    """Starts runs as jobs of a submitit executor.

    slots: jobs submitted at a time.
    threads: CPU threads per run.
    queue: Slurm's queue, None where submitit's executor has another one.
    """

    def __init__(self, executor: Any, slots: int, threads: int, queue: SlurmQueue | None):
        self.executor, self.slots, self.queue = executor, slots, queue
        self.arguments: tuple[str, ...] = ("--threads", str(threads))
        self.jobs: list[tuple[Any, Task]] = []
        self.missed: dict[str, float] = {}  # job id → when it was first seen to be gone

    def start(self, task: Task) -> None:
        job = SlurmJob(task.arguments, task.log.absolute(), Path.cwd())
        self.executor.update_parameters(name=task.name)
        printed = io.StringIO()  # submitit prints what sbatch said
        try:
            with _variables(task.environment), redirect_stderr(printed):
                self.jobs.append((self.executor.submit(job), task))
        except Exception as error:  # submitit documents none; all mean that there is no job
            raise NotStarted(_last_line(printed.getvalue()) or _last_line(str(error))) from None

    def started_before(self) -> frozenset[str]:
        if self.queue is None or (jobs := self.queue.jobs()) is None:
            return frozenset()
        own = {job.job_id for job, _ in self.jobs}
        folder = Path(self.executor.folder).absolute()
        return frozenset(
            job.name
            for number, job in jobs.items()
            if job.live and job.script.parent == folder and number not in own
        )

    def ended(self) -> list[End]:
        gone = {id(job): end for job, task in self.jobs if (end := self._end(job, task))}
        self.jobs = [(job, task) for job, task in self.jobs if id(job) not in gone]
        return list(gone.values())

    def _end(self, job: Any, task: Task) -> End | None:
        """Return how a job ended, None while it has not."""
        if self.queue is None:
            return _result(job, task) if job.done() else None
        jobs = self.queue.jobs()
        known = (jobs or {}).get(job.job_id)
        if known is not None and known.live:
            self.missed.pop(job.job_id, None)
            return None
        if job.paths.result_pickle.exists():
            return _result(job, task)
        if jobs is None:  # Slurm does not answer
            return None
        if time.monotonic() < self.missed.setdefault(job.job_id, time.monotonic()) + _RESULT_S:
            return None
        state = "gone from the queue" if known is None else known.state
        why = f"Slurm job {job.job_id}: {state}{_reason(job)}"
        return End(task, None, why, taken_away=known is not None and known.taken_away)

    def stop(self) -> None:
        if self.queue is None:
            for job, _ in self.jobs:
                job.cancel(check=False)
        elif not self.queue.cancel([job.job_id for job, _ in self.jobs]):
            print(
                f"Slurm does not answer, so {len(self.jobs)} jobs stay in its queue. The same "
                "command finds them there; scancel ends them.",
                file=sys.stderr,
            )
            return
        deadline = time.monotonic() + GRACE_S
        while any(self._holds(job) for job, _ in self.jobs) and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    def _holds(self, job: Any) -> bool:
        """Return whether a job that was cancelled still saves, as far as is known."""
        if self.queue is None:
            return not job.done()
        known = (self.queue.jobs() or {}).get(job.job_id)
        return known is not None and known.live

    def close(self) -> None:
        pass


def _result(job: Any, task: Task) -> End:
    """Return how a job ended that has a result."""
    from submitit.core.utils import FailedJobError, UncompletedJobError

    try:
        return End(task, job.result())
    except (FailedJobError, UncompletedJobError, OSError):
        return End(task, None, f"job {job.job_id} failed{_reason(job)}")


def _reason(job: Any) -> str:
    """Return the last line of a job's own output, and its file; Slurm's own lines say less."""
    for path in (job.paths.stderr, job.paths.stdout):
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue
        own = "\n".join(line for line in text.splitlines() if not _SLURMS_OWN.match(line))
        if line := _last_line(own) or _last_line(text):
            return f": {line} (see {path})"
    return f", without any output ({job.paths.stderr})"


def _last_line(text: str) -> str:
    lines = (line.strip() for line in reversed(text.splitlines()))
    return next(filter(None, lines), "")[:_LONGEST]


@contextmanager
def _variables(more: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, which sbatch hands on to the job, for a moment."""
    before = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def open_launcher(wanted: LaunchOptions) -> Launcher:
    """Return the launcher. Raises UserError for options that submitit refuses."""
    require_package("submitit", "slurm")
    import submitit

    defaults = {"timeout_min": 24 * 60, "cpus_per_task": wanted.threads or 1}
    options: dict[str, Any] = {**defaults, **wanted.options}
    for name in ("name", "slurm_job_name"):
        if name in options:
            raise UserError(f"--launch {name}: cannot be set. A job has the name of its run.")
    cluster = options.pop("cluster", "slurm")
    try:
        executor = submitit.AutoExecutor(wanted.runs / ".slurm", cluster, slurm_max_num_timeout=100)
        executor.update_parameters(**options)
    except (RuntimeError, ValueError, NameError, TypeError, AssertionError) as error:
        raise UserError(f"--launcher slurm: {str(error).splitlines()[0]}") from None
    threads = wanted.threads or options["cpus_per_task"]
    queue = SlurmQueue() if executor.cluster == "slurm" else None
    return Slurm(executor, wanted.workers or _ALL, threads, queue)
