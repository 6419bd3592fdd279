"""The Ray launcher: runs are tasks of Ray, on a cluster or on this machine.

Options: cpus, gpus (per run); address of a cluster (default $RAY_ADDRESS, else Ray is started on
this machine). All machines need the same folders and an installed suite.

A run trains inside Ray's worker, so it ends with the worker; the sweep then retries it. A worker
does one run only, because gin's state is global.
"""

import logging
import os
import runpy
import sys
from pathlib import Path
from typing import Any

from dstbench.errors import UserError
from dstbench.sweeps.launchers.base import Launcher, LaunchOptions, Task, require_package

_ALL = 10_000  # runs submitted to a cluster at once; it queues them
_GRACE_S = 60.0  # for runs to save before they are killed


class Ray:
    """Starts runs as tasks of the Ray that this process is connected to.

    slots: runs at a time.
    cpus, gpus: resources per run, as Ray counts them.
    """

    def __init__(self, slots: int, cpus: float, gpus: float):
        import ray

        self.slots = slots
        self.arguments: tuple[str, ...] = () if gpus else ("--threads", str(max(1, int(cpus))))
        self.task = ray.remote(
            num_cpus=cpus,
            num_gpus=gpus,
            max_calls=1,  # runs per worker
            max_retries=0,  # the scheduler retries
        )(_run_in_worker)
        self.tasks: dict[ray.ObjectRef, Task] = {}

    def start(self, task: Task) -> None:
        reference = self.task.remote(task.arguments, str(task.log.absolute()), str(Path.cwd()))
        self.tasks[reference] = task

    def ended(self) -> list[tuple[Task, int | None]]:
        import ray

        if not self.tasks:
            return []
        ready, _ = ray.wait(list(self.tasks), num_returns=len(self.tasks), timeout=0)
        return [(self.tasks.pop(reference), _code(reference)) for reference in ready]

    def stop(self) -> None:
        import ray

        for reference in self.tasks:
            ray.cancel(reference)  # acts as Ctrl-C in the worker: the run saves
        if self.tasks:
            ray.wait(list(self.tasks), num_returns=len(self.tasks), timeout=_GRACE_S)

    def close(self) -> None:
        import ray

        ray.shutdown()


def _run_in_worker(arguments: tuple[str, ...], log: str, folder: str) -> int:
    """Run `dstbench` inside a worker of Ray, and return its exit code.

    log: file for the output.
    folder: working folder.
    """
    os.chdir(folder)
    with open(log, "ab") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    sys.argv = ["dstbench", *arguments]
    try:
        runpy.run_module("dstbench", run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def _code(reference: Any) -> int | None:
    """Return the run's exit code, None if Ray lost its worker."""
    import ray

    try:
        return ray.get(reference)
    except (ray.exceptions.RayError, KeyboardInterrupt):
        return None


def open_launcher(wanted: LaunchOptions) -> Launcher:
    """Return the launcher, connected to Ray. Raises UserError for resources it cannot provide."""
    require_package("ray", "ray")
    wanted.refuse_unknown(("address", "cpus", "gpus"))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    address = wanted.options.get("address") or os.environ.get("RAY_ADDRESS")
    cpus = _amount("cpus", wanted.options.get("cpus", wanted.threads or 1))
    gpus = _amount("gpus", wanted.options.get("gpus", 0))
    here: dict[str, Any] = {}
    if not address:
        limit = wanted.workers * cpus if wanted.workers else None
        here = {"num_cpus": limit, "include_dashboard": False}
    try:
        ray.init(
            address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **here
        )
    except (ConnectionError, ValueError) as error:
        raise UserError(f"--launcher ray: {str(error).splitlines()[0]}") from None
    if address:  # a cluster may grow until a run fits
        return Ray(wanted.workers or _ALL, cpus, gpus)
    available = ray.cluster_resources()
    for name, amount in (("CPU", cpus), ("GPU", gpus)):
        if amount > (has := available.get(name, 0)):
            ray.shutdown()
            raise UserError(
                f"--launch {name.lower()}s={amount:g}: this machine has {has:g}, so no run could "
                "start. Use fewer, or a cluster: --launch address=auto."
            )
    return Ray(wanted.workers or int(available["CPU"] // cpus), cpus, gpus)


def _amount(name: str, value: Any) -> float:
    """Return a run's amount of a resource. Raises UserError for a value that is not one."""
    if isinstance(value, int | float) and (value > 0 or (value == 0 and name == "gpus")):
        return value
    least = "zero or more" if name == "gpus" else "a number above zero"
    raise UserError(f"--launch {name}={value}: must be {least}.")
