"""Runs as tasks of Ray: on a cluster that is there, or on a Ray of this machine alone.

Options: cpus, gpus of a run; address of a cluster (default $RAY_ADDRESS, else a Ray is started
here). Machines of a cluster must see the same folders and have the suite installed.

A run trains inside Ray's worker, so whatever ends the worker ends the run; the sweep is told and
starts it again. A worker serves one run only, because gin's state is global.
"""

import logging
import os
import sys
from pathlib import Path
from typing import Any

from dstbench.errors import UserError
from dstbench.sweep.launchers.base import Launcher, LaunchOptions, Task, needs

_ALL = 10_000  # runs handed to a cluster, which chooses how many it carries out at a time
_GRACE_S = 60.0  # for runs to save before they are ended


class Ray:
    """Tasks of the Ray that this process is connected to."""

    def __init__(self, slots: int, cpus: float, gpus: float):
        import ray

        self.slots = slots
        self.arguments: tuple[str, ...] = () if gpus else ("--threads", str(max(1, int(cpus))))
        self.work = ray.remote(
            num_cpus=cpus, num_gpus=gpus, max_calls=1, max_retries=0  # the sweep counts retries
        )(carry_out)  # fmt: skip
        self.tasks: dict[ray.ObjectRef, Task] = {}

    def start(self, task: Task) -> None:
        reference = self.work.remote(task.arguments, str(task.log.absolute()), str(Path.cwd()))
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
            ray.cancel(reference)  # as Ctrl-C in the worker: the run saves
        if self.tasks:
            ray.wait(list(self.tasks), num_returns=len(self.tasks), timeout=_GRACE_S)

    def close(self) -> None:
        import ray

        ray.shutdown()


def carry_out(arguments: tuple[str, ...], log: str, folder: str) -> int:
    """One run, inside a worker of Ray: its exit code."""
    from dstbench.cli.main import main

    os.chdir(folder)
    with open(log, "ab") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    sys.argv = ["dstbench", *arguments]  # what the record says was typed
    try:
        main(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1


def _code(reference: Any) -> int | None:
    """What the run came to, None when Ray lost its worker."""
    import ray

    try:
        return ray.get(reference)
    except (ray.exceptions.RayError, KeyboardInterrupt):
        return None


def open_launcher(wanted: LaunchOptions) -> Launcher:
    needs("ray", "ray")
    wanted.only(("address", "cpus", "gpus"))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    address = wanted.options.get("address") or os.environ.get("RAY_ADDRESS")
    cpus = _share("cpus", wanted.options.get("cpus", wanted.threads or 1))
    gpus = _share("gpus", wanted.options.get("gpus", 0))
    here: dict[str, Any] = {} if address else {
        "num_cpus": wanted.workers * cpus if wanted.workers else None, "include_dashboard": False
    }  # fmt: skip
    try:
        ray.init(
            address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **here
        )
    except (ConnectionError, ValueError) as error:
        raise UserError(f"--launcher ray: {str(error).splitlines()[0]}") from None
    if address:  # a cluster may grow until there is room for a run
        return Ray(wanted.workers or _ALL, cpus, gpus)
    there = ray.cluster_resources()
    for name, share in (("CPU", cpus), ("GPU", gpus)):
        if share > (has := there.get(name, 0)):
            ray.shutdown()
            raise UserError(
                f"--launch {name.lower()}s={share:g}: this machine has {has:g}, so that no run "
                "could start. Ask for fewer, or name a cluster: --launch address=auto."
            )
    return Ray(wanted.workers or int(there["CPU"] // cpus), cpus, gpus)


def _share(name: str, value: Any) -> float:
    """A run's share of something. Raises UserError for what is none."""
    if isinstance(value, int | float) and (value > 0 or (value == 0 and name == "gpus")):
        return value
    least = "zero or more" if name == "gpus" else "a number above zero"
    raise UserError(f"--launch {name}={value}: must be {least}.")
