"""A sweep as it is asked for: the grid, which of its runs, and where they run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from dstbench.config import grid
from dstbench.errors import UserError
from dstbench.recording.record import OVER
from dstbench.sweeps.job_filter import filter_jobs
from dstbench.sweeps.launchers.base import LaunchOptions, open_launcher
from dstbench.sweeps.plan import (
    PlannedRun,
    RunOptions,
    Stage,
    SweepPlan,
    pin_precision,
    plan_run,
    unique_runs,
)
from dstbench.sweeps.prerequisites import (
    precision_elsewhere,
    precision_of_runs,
    require_datasets,
    require_options,
)
from dstbench.sweeps.published import PublishedRuns
from dstbench.sweeps.run_sweep import run_sweep
from dstbench.sweeps.scheduler import Sweep

_MANY = 300  # runs whose planning shows progress


@dataclass(frozen=True)
class SweepRequest:
    """What to run, where, and how many at a time.

    grid: gin file or name of the grid.
    shared: options of all runs.
    only: filters, such as 'method=EAST,sparsity=0.9995'; a run meets at least one of them.
    launcher: 'local', 'ray' or 'slurm'.
    workers: runs at a time; None for the launcher's default.
    threads: CPU threads of a run; None for the launcher's default.
    retries: how many times a run that died is started again.
    launch: options of the launcher.
    plugins: Python files that every run loads.
    published: a leaderboard, whose runs are not repeated; None repeats whatever is not done here.

    Raises UserError for a number that is out of range, and for a wrong address of a store.
    """

    grid: str
    shared: RunOptions
    only: tuple[str, ...] = ()
    launcher: str = "local"
    workers: int | None = None
    threads: int | None = None
    retries: int = 2
    launch: Mapping[str, Any] = field(default_factory=dict)
    plugins: tuple[Path, ...] = ()
    published: Path | None = None

    def __post_init__(self) -> None:
        require_options(self.workers, self.threads, self.retries, self.shared.tracking)

    def plan(self) -> SweepPlan:
        """Return every run of the grid, once, and how far it is.

        Raises UserError for anything wrong with the grid or a run's configuration, and for a
        leaderboard without records.
        """
        table = grid.read(self.grid)
        jobs = filter_jobs(table.jobs, list(self.only))
        console = Console(stderr=True, highlight=False)
        published = None if self.published is None else PublishedRuns(self.published)
        for one in published.rejected if published else ():
            text = f"not published: {', '.join(one.names)}: {one.reason}"
            console.print(text, markup=False, soft_wrap=True)
        few = len(jobs) < _MANY or not console.is_terminal

        def planned(precision: str) -> list[PlannedRun]:
            shown = track(jobs, "planning", console=console, transient=True, disable=few)
            try:
                return unique_runs(
                    plan_run(job, self.plugins, self.shared, precision) for job in shown
                )
            except UserError as error:
                raise UserError(f"{table.path}: {error.message}") from None

        if self.launcher == "local":
            runs = planned(precision_of_runs(self.shared.device))
        else:
            precision = precision_elsewhere(self.shared.device, self.launch.get("precision"))
            runs = [pin_precision(run) for run in planned(precision)]

        def stage(run: PlannedRun) -> Stage:
            own = run.stage()
            shown = published is not None and published.shows(run)
            return "published" if shown and own not in OVER else own

        return SweepPlan(table, {run: stage(run) for run in runs})

    @property
    def launch_options(self) -> LaunchOptions:
        """Options of the launcher; the precision of other machines is none of its own."""
        elsewhere = self.launcher != "local"
        own = {k: v for k, v in self.launch.items() if not (elsewhere and k == "precision")}
        return LaunchOptions(self.workers, self.threads, self.shared.device, self.shared.runs, own)

    def carry_out(self, plan: SweepPlan) -> Sweep:
        """Run what is left of a plan.

        Raises UserError for a missing dataset or a launcher that cannot start, and Interrupted
        after a signal, when all runs have saved.
        """
        if self.launcher == "local":
            require_datasets(plan.remaining, self.shared.data_root)
        launcher = open_launcher(self.launcher, self.launch_options)
        return run_sweep(plan, launcher, self.retries, self.shared)
