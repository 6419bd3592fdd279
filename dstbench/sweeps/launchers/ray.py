"""The Ray launcher: runs are tasks of Ray, on a cluster or on this machine.

Options: cpus, gpus (per run); address of a cluster (default $RAY_ADDRESS, else Ray is started on
this machine). All machines need the same folders and an installed suite.

A run trains inside Ray's worker, so it ends with the worker; the sweep then retries it. A worker
does one run only, because gin's state is global.
"""

import logging
import os
import runpy
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
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

_ALL = 10_000  # runs submitted to a cluster at once; it queues them
_ANSWER_S = 10.0  # how long a cluster may take to accept a connection
_GRACE_S = 60.0  # for runs to save before they are killed


@dataclass(frozen=True)
class Unusable:
    """What a worker returns that cannot begin, such as one without the shared folder.

    node: Ray's id of its machine.
    why: the machine's name and the reason.
    """

    node: str
    why: str


class Ray:
    """Starts runs as tasks of the Ray that this process is connected to.

    slots: runs at a time.
    cpus, gpus: resources per run, as Ray counts them.
    unusable: ids of machines that could not begin a run; they get no more.
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
        self.unusable: dict[str, str] = {}

    def start(self, task: Task) -> None:
        import ray

        remote = self.task
        if self.unusable:
            alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
            if alive <= self.unusable.keys():
                why = "; ".join(self.unusable.values())
                raise NotStarted(f"no machine of the cluster can take it: {why}")
            nodes = ",".join(self.unusable)
            remote = self.task.options(label_selector={"ray.io/node-id": f"!in({nodes})"})
        reference = remote.remote(
            task.arguments, str(task.log.absolute()), str(Path.cwd()), dict(task.environment)
        )
        self.tasks[reference] = task

    def started_before(self) -> frozenset[str]:
        return frozenset()  # Ray ends the runs of a driver that is gone

    def ended(self) -> list[End]:
        import ray

        if not self.tasks:
            return []
        ready, _ = ray.wait(list(self.tasks), num_returns=len(self.tasks), timeout=0)
        return [self._end(reference) for reference in ready]

    def _end(self, reference: Any) -> End:
        """Return how the run of a task ended."""
        import ray

        task = self.tasks.pop(reference)
        gone = (ray.exceptions.NodeDiedError, ray.exceptions.LocalRayletDiedError)
        try:
            result = ray.get(reference)
        except (ray.exceptions.RayError, KeyboardInterrupt) as error:
            why = next((line for line in reversed(str(error).splitlines()) if line.strip()), "")
            return End(task, None, f"{type(error).__name__}: {why}", isinstance(error, gone))
        if isinstance(result, Unusable):
            self.unusable[result.node] = result.why
            return End(task, None, f"{result.why}; it gets no more runs", taken_away=True)
        return End(task, result)

    def stop(self) -> None:
        import ray

        for reference in self.tasks:
            ray.cancel(reference)  # acts as Ctrl-C in the worker: the run saves
        if self.tasks:
            ray.wait(list(self.tasks), num_returns=len(self.tasks), timeout=_GRACE_S)

    def close(self) -> None:
        import ray

        ray.shutdown()


def _run_in_worker(
    arguments: tuple[str, ...], log: str, folder: str, environment: Mapping[str, str]
) -> int | Unusable:
    """Run `dstbench` inside a worker of Ray, and return its exit code.

    log: file for the output.
    folder: working folder.
    environment: variables that are set before.
    """
    import ray

    try:
        os.chdir(folder)
        with open(log, "ab") as file:
            for descriptor in (1, 2):
                os.dup2(file.fileno(), descriptor)
    except OSError as error:
        node = ray.get_runtime_context().get_node_id()
        machine = f"{os.uname().nodename} ({ray.util.get_node_ip_address()})"
        return Unusable(node, f"machine {machine}: {error}")
    os.environ.update(environment)
    sys.argv = ["dstbench", *arguments]
    try:
        runpy.run_module("dstbench", run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def open_launcher(wanted: LaunchOptions) -> Launcher:
    """Return the launcher, connected to Ray. Raises UserError for resources it cannot provide."""
    require_package("ray", "ray")
    wanted.refuse_unknown(("address", "cpus", "gpus"))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "error")
    import ray

    address = wanted.options.get("address") or os.environ.get("RAY_ADDRESS")
    if address:
        _require_answer(address)
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
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(
            f"--launcher ray: {str(error).splitlines()[0]}. New versions of Ray ask for a token: "
            "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to that of the cluster if "
            "~/.ray/auth_token is another; or start all machines with RAY_AUTH_MODE=disabled."
        ) from None
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


def _require_answer(address: str) -> None:
    """Raise UserError if nothing listens at HOST:PORT, for which Ray would wait without end."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():  # such as auto
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
    except (OSError, OverflowError, ValueError) as error:
        raise UserError(f"--launcher ray: nothing answers at {address} ({error}).") from None


def _amount(name: str, value: Any) -> float:
    """Return a run's amount of a resource. Raises UserError for a value that is not one."""
    if isinstance(value, int | float) and (value > 0 or (value == 0 and name == "gpus")):
        return value
    least = "zero or more" if name == "gpus" else "a number above zero"
    raise UserError(f"--launch {name}={value}: must be {least}.")
