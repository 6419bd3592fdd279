"""Runs as processes on this machine: one thread each on a CPU, side by side on GPUs.

Each run is a session of its own, so that Ctrl-C in the terminal reaches the sweep alone, which then
asks the runs to save.
"""

import os
import signal
import subprocess
import time
from dataclasses import dataclass

import torch

from dstbench.sweep.launchers.base import Launcher, LaunchOptions, Task
from dstbench.utils.processes import cores, environment, python

_LOOK_S = 0.05


@dataclass(frozen=True)
class _Worker:
    task: Task
    process: subprocess.Popen
    gpu: str | None


class Local:
    """Processes of this machine. gpus: what CUDA calls them; runs take turns on them."""

    def __init__(self, slots: int, arguments: tuple[str, ...] = (), gpus: tuple[str, ...] = ()):
        self.slots, self.arguments, self.gpus = slots, arguments, gpus
        self.workers: list[_Worker] = []

    def start(self, task: Task) -> None:
        gpu = min(self.gpus, key=self._runs_on, default=None)
        seen = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
        with task.log.open("ab") as log:
            process = subprocess.Popen(
                python("dstbench", *task.arguments),
                env=environment(**seen),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.workers.append(_Worker(task, process, gpu))

    def _runs_on(self, gpu: str) -> int:
        return sum(worker.gpu == gpu for worker in self.workers)

    def ended(self) -> list[tuple[Task, int | None]]:
        gone = [worker for worker in self.workers if worker.process.poll() is not None]
        self.workers = [worker for worker in self.workers if worker not in gone]
        return [(worker.task, worker.process.returncode) for worker in gone]

    def stop(self) -> None:
        self._signal(signal.SIGTERM)
        try:
            while any(worker.process.poll() is None for worker in self.workers):
                time.sleep(_LOOK_S)
        except KeyboardInterrupt:  # asked a second time
            self._signal(signal.SIGKILL)
            raise

    def close(self) -> None:
        pass

    def _signal(self, number: int) -> None:
        for worker in self.workers:
            worker.process.send_signal(number)  # does nothing to one that has ended


def open_launcher(wanted: LaunchOptions) -> Launcher:
    wanted.only(())
    gpus = _gpus(wanted.device)
    if gpus:
        threads = () if wanted.threads is None else ("--threads", str(wanted.threads))
        return Local(wanted.workers or len(gpus), threads, gpus)
    each = wanted.threads or 1
    return Local(wanted.workers or max(1, cores() // each), ("--threads", str(each)))


def _gpus(device: str) -> tuple[str, ...]:
    """The GPUs to share out: none if there are none, or if one was named."""
    if device not in ("auto", "cuda") or not torch.cuda.is_available():
        return ()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return tuple(named.split(",") if named else map(str, range(torch.cuda.device_count())))
