"""Runs a planned sweep: scheduler, display and MLflow together."""

from rich.console import Console

from dstbench.data.protocols import validation_accuracy
from dstbench.sweeps.display import SweepDisplay, reported_accuracy
from dstbench.sweeps.launchers.base import Launcher
from dstbench.sweeps.plan import RunOptions, SweepPlan
from dstbench.sweeps.scheduler import Sweep
from dstbench.tracking.parent_run import ParentRun
from dstbench.utils.signals import Interrupted

_MLFLOW_S, _MLFLOW_INTERRUPTED_S = 30, 5  # how long to wait for MLflow at the end


def run_sweep(plan: SweepPlan, launcher: Launcher, retries: int, shared: RunOptions) -> Sweep:
    """Run what is left of the plan, and close the launcher.

    retries: how many times a run that died is started again.
    shared: options of all runs.

    Raises Interrupted after a signal, when all runs have saved.
    """
    console = Console(stderr=True, highlight=False)
    grid, remaining = plan.grid, plan.remaining
    log = shared.runs / ".sweeps" / f"{grid.path.stem}-{grid.sha256[:8]}.log"
    parent = ParentRun(grid.title, grid.sha256, plan.folders, shared.tracking, log)
    outcome, wait_s = "KILLED", _MLFLOW_INTERRUPTED_S
    try:
        total = len(plan.stages)
        # Whoever chooses settings by a search should not see test accuracies.
        accuracy = validation_accuracy if grid.kind == "search" else reported_accuracy
        with SweepDisplay(total, total - len(remaining), console, accuracy) as display:
            sweep = Sweep(remaining, launcher, retries, display, shared.environment)
            sweep.run_all()
        outcome, wait_s = "FAILED" if sweep.failed else "FINISHED", _MLFLOW_S
    except Interrupted as error:
        console.print(
            f"Stopped by {error}. All runs are saved. Run the same command again to resume."
        )
        raise
    finally:
        launcher.close()
        if place := parent.finish(outcome, wait_s):
            console.print(f"MLflow: {place}", markup=False, soft_wrap=True)
    return sweep
