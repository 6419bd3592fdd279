"""`dstbench sweep`: plans the runs of a grid, and runs what is missing."""

import argparse
from typing import Any

from rich.console import Console

from dstbench.config import grid
from dstbench.errors import UserError
from dstbench.sweeps.display import plan_summary, plan_table
from dstbench.sweeps.estimate import Estimate
from dstbench.sweeps.job_filter import filter_jobs
from dstbench.sweeps.launchers.base import LaunchOptions, open_launcher, parse_options
from dstbench.sweeps.plan import (
    PlannedRun,
    RunOptions,
    SweepPlan,
    pin_precision,
    plan_run,
    title,
    unique_runs,
)
from dstbench.sweeps.prerequisites import (
    precision_elsewhere,
    precision_of_runs,
    require_datasets,
)
from dstbench.sweeps.run_sweep import run_sweep
from dstbench.training.device import choose_device, device_name
from dstbench.utils.signals import Interrupted


def main(args: argparse.Namespace) -> int:
    for name, least in (("workers", 1), ("threads", 1), ("retries", 0)):
        if (value := getattr(args, name)) is not None and value < least:
            raise UserError(f"--{name} {value}: must be at least {least}.")
    options = parse_options(args.launch)
    plan = make_plan(args, options)
    launch = LaunchOptions(args.workers, args.threads, args.device, args.runs, options)
    if args.dry_run:
        show(plan, args, launch)
        return 0
    if not plan.remaining:
        print(plan_summary(plan.stages, {}, 1))
        return 0
    if args.launcher == "local":
        require_datasets(plan.remaining, args.data_root)
    launcher = open_launcher(args.launcher, launch)
    try:
        sweep = run_sweep(plan, launcher, args.retries, args.runs, args.tracking)
    except Interrupted as error:
        return error.exit_code
    for why in dict.fromkeys(sweep.failed.values()):
        print(f"failed: {why}")
        for run in (run for run, reason in sweep.failed.items() if reason == why):
            print(f"  {title(run.job)}  log: {run.log}")
    done = len(plan.stages) - len(sweep.failed)
    print(f"{done} of {len(plan.stages)} runs are done, {len(sweep.failed)} failed.")
    return 1 if sweep.failed else 0


def make_plan(args: argparse.Namespace, options: dict[str, Any]) -> SweepPlan:
    """Return the plan. options: of the launcher; the precision of runs elsewhere is taken out."""
    table = grid.read(args.file)
    jobs = filter_jobs(table.jobs, args.only)
    shared = RunOptions(
        args.runs, args.device, args.data_root, args.cache, args.tracking, args.engine
    )

    def planned(precision: str) -> list[PlannedRun]:
        return unique_runs(plan_run(job, tuple(args.plugins), shared, precision) for job in jobs)

    if args.launcher == "local":
        runs = planned(precision_of_runs(args.device))
    else:
        precision = precision_elsewhere(args.device, options.pop("precision", None))
        runs = [pin_precision(run) for run in planned(precision)]
    return SweepPlan(table, {run: run.stage() for run in runs})


def show(plan: SweepPlan, args: argparse.Namespace, launch: LaunchOptions) -> None:
    """Print all runs, their status and the time left; nothing is started."""
    local = args.launcher == "local"
    estimate = Estimate(args.runs, device_name(choose_device(args.device)) if local else None)
    seconds = {run: estimate.seconds_left(run) for run in plan.remaining}
    slots = open_launcher("local", launch).slots if local else args.workers or len(plan.stages)
    console = Console(highlight=False, width=200)  # a narrow terminal wraps; nothing is cut off
    console.print(plan_table(plan.stages, seconds))
    console.print(plan_summary(plan.stages, seconds, slots), markup=False)
