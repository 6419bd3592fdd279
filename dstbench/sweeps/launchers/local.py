"""The local launcher: runs are processes on this machine.

On CPUs each run has one thread; on GPUs the runs are spread over them. Each run is in its own
session: Ctrl-C in the terminal reaches only the sweep, which then asks the runs to save.
"""

import os
import signal
import subprocess
import time
from dataclasses import dataclass

import torch

from dstbench.sweeps.launchers.base import End, Launcher, LaunchOptions, NotStarted, Task
from dstbench.utils.cores import cores
from dstbench.utils.processes import environment, python

_POLL_S = 0.05


@dataclass(frozen=True)
class _Worker:
    task: Task
    process: subprocess.Popen
    gpu: str | None


class Local:
    """Starts runs as processes.

    slots: runs at a time.
    arguments: what it adds to each run's command line.
    gpus: ids for CUDA_VISIBLE_DEVICES; each run takes the GPU with the fewest runs.
    """

    def __init__(self, slots: int, arguments: tuple[str, ...] = (), gpus: tuple[str, ...] = ()):
        self.slots, self.arguments, self.gpus = slots, arguments, gpus
        self.workers: list[_Worker] = []

    def start(self, task: Task) -> None:
        gpu = min(self.gpus, key=self._runs_on, default=None)
        visible = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
        try:
            with task.log.open("ab") as log:
                process = subprocess.Popen(
                    python("dstbench", *task.arguments),
                    env=environment(**task.environment, **visible),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:  # such as too many processes
            raise NotStarted(f"no process can be started: {error.strerror or error}") from None
        self.workers.append(_Worker(task, process, gpu))

    def _runs_on(self, gpu: str) -> int:
        return sum(worker.gpu == gpu for worker in self.workers)

    def started_before(self) -> frozenset[str]:
        return frozenset()  # such a run holds the lock of its folder

    def ended(self) -> list[End]:
        gone = [worker for worker in self.workers if worker.process.poll() is not None]
        self.workers = [worker for worker in self.workers if worker not in gone]
        return [End(worker.task, worker.process.returncode) for worker in gone]

    def stop(self) -> None:
        self._signal(signal.SIGTERM)
        try:
            while any(worker.process.poll() is None for worker in self.workers):
                time.sleep(_POLL_S)
        except KeyboardInterrupt:  # a second Ctrl-C
            self._signal(signal.SIGKILL)
            raise

    def close(self) -> None:
        pass

    def _signal(self, number: int) -> None:
        for worker in self.workers:
            worker.process.send_signal(number)  # no effect on a process that has ended


def open_launcher(wanted: LaunchOptions) -> Launcher:
    """Return the launcher; by default one run per GPU, or per core."""
    wanted.refuse_unknown(())
    gpus = _gpus(wanted.device)
    if gpus:
        threads = () if wanted.threads is None else ("--threads", str(wanted.threads))
        return Local(wanted.workers or len(gpus), threads, gpus)
    each = wanted.threads or 1
    return Local(wanted.workers or max(1, cores() // each), ("--threads", str(each)))


def _gpus(device: str) -> tuple[str, ...]:
    """Return the GPUs to spread runs over; none if there is no GPU, or if --device names one."""
    if device not in ("auto", "cuda") or not torch.cuda.is_available():
        return ()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return tuple(named.split(",") if named else map(str, range(torch.cuda.device_count())))
