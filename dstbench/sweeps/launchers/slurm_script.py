"""A batch script of a sweep's runs, for those who submit by hand: one job array, one run a task.

A run that is preempted or out of time saves, and its task is queued again. Nothing watches the
array; the same runs can be listed, resumed or swept at any time, because their folders say how far
they are.
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dstbench.errors import UserError
from dstbench.sweeps.plan import PlannedRun
from dstbench.utils.signals import SAVED_EXITS

_OPTIONS = {  # of submitit → of sbatch
    "timeout_min": "time",
    "nodes": "nodes",
    "cpus_per_task": "cpus-per-task",
    "gpus_per_node": "gpus-per-node",
    "mem_gb": "mem",
}


def batch_script(
    runs: Sequence[PlannedRun], options: Mapping[str, Any], threads: int | None, workers: int | None
) -> str:
    """Return the script, for `sbatch`.

    options: as for `--launch`; those of sbatch begin with slurm_, such as slurm_partition.
    threads: CPU threads of a run, None for one a CPU of its task.
    workers: tasks at a time, None for no limit.

    Raises UserError for an option that sbatch does not have, and if there is no run.
    """
    if not runs:
        raise UserError("No run is to be started, so there is nothing to submit.")
    given = {"timeout_min": 24 * 60, "cpus_per_task": threads or 1} | dict(options)
    delay = given.pop("slurm_signal_delay_s", 90)
    for name, value in (*given.items(), ("slurm_signal_delay_s", delay)):
        number = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
        counted = name in _OPTIONS or name == "slurm_signal_delay_s"
        if counted and not number:
            raise UserError(f"--launch {name}={value}: must be a number above zero.")
    if delay >= 60 * given["timeout_min"]:
        raise UserError(
            f"--launch slurm_signal_delay_s={delay}: must be below the limit, "
            f"{60 * given['timeout_min']} s (timeout_min), and above the time of a save."
        )
    lines = [f"#SBATCH --{_sbatch(name)}{_value(name, value)}" for name, value in given.items()]
    at_once = f"%{workers}" if workers else ""
    more = ("--threads", str(threads or given["cpus_per_task"]))
    commands = [shlex.join((*run.arguments, *more)) for run in runs]
    listed = "\n".join(f"{i}) set -- {command} ;;" for i, command in enumerate(commands))
    saved = "|".join(str(code) for code in sorted(SAVED_EXITS))
    return f"""#!/bin/bash
#SBATCH --job-name=dstbench
#SBATCH --array=0-{len(runs) - 1}{at_once}
#SBATCH --signal=USR2@{delay}
#SBATCH --open-mode=append
{chr(10).join(lines)}

case $SLURM_ARRAY_TASK_ID in
{listed}
esac
cd {shlex.quote(str(Path.cwd()))} || exit
srun {shlex.quote(sys.executable)} -P -m dstbench "$@"
code=$?
case $code in
{saved})  # saved before its machine was taken away: it goes on later
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID" ;;
esac
exit $code
"""


def _sbatch(name: str) -> str:
    if name in _OPTIONS:
        return _OPTIONS[name]
    if name.startswith("slurm_"):
        return name.removeprefix("slurm_").replace("_", "-")
    allowed = ", ".join(_OPTIONS)
    raise UserError(f"--launch {name}: a batch script takes {allowed}, and slurm_ with sbatch's.")


def _value(name: str, value: Any) -> str:
    """Return the end of an option: '=' and its value, nothing for one that is a flag."""
    if value is True:
        return ""
    return "=" + shlex.quote(f"{value}G" if name == "mem_gb" else str(value))
