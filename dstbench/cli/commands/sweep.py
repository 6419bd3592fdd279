"""`dstbench sweep`: the runs of a grid, planned, shown, and brought to their end."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from dstbench.config import grid
from dstbench.config.grid import Table
from dstbench.errors import UserError
from dstbench.records.record import OVER
from dstbench.sweep.display import Board, plan_summary, plan_table, title
from dstbench.sweep.estimate import Estimate
from dstbench.sweep.job_filter import only
from dstbench.sweep.launchers import base
from dstbench.sweep.plan import (
    Planned,
    Stage,
    device_name,
    once_each,
    planned,
    precision_of_runs,
    require_data,
)
from dstbench.sweep.scheduler import Sweep
from dstbench.tracking.parent_run import Family
from dstbench.utils.signals import Interrupted


def main(args: argparse.Namespace) -> int:
    if args.workers is not None and args.workers < 1:
        raise UserError(f"--workers {args.workers}: must be at least 1.")
    if args.threads is not None and args.threads < 1:
        raise UserError(f"--threads {args.threads}: must be at least 1.")
    if args.retries < 0:
        raise UserError(f"--retries {args.retries}: must be zero or more.")
    options = base.options(args.launch)
    table = grid.read(args.file)
    jobs = only(table.jobs, args.only)
    precision = precision_of_runs(args, options)
    runs = once_each([planned(job, args, precision) for job in jobs])
    stages = {run: run.stage() for run in runs}
    left = [run for run, stage in stages.items() if stage not in OVER]
    wanted = base.LaunchOptions(args.workers, args.threads, args.device, args.runs, options)
    if args.dry_run:
        show_plan(stages, left, args, wanted)
        return 0
    if not left:
        print(plan_summary(stages, {}, 1))
        return 0
    if args.launcher == "local":
        require_data(left, args)
    sweep = carry_out(table, runs, left, args, wanted)
    for why in dict.fromkeys(sweep.failed.values()):
        print(f"failed: {why}")
        for run in (run for run, reason in sweep.failed.items() if reason == why):
            print(f"  {title(run.job)}  log: {run.log}")
    done = len(runs) - len(sweep.failed)
    print(f"{done} of {len(runs)} runs are done, {len(sweep.failed)} failed.")
    return 1 if sweep.failed else 0


# --- the plan -----------------------------------------------------------------------------------


def show_plan(
    stages: dict[Planned, Stage],
    left: Sequence[Planned],
    args: argparse.Namespace,
    wanted: base.LaunchOptions,
) -> None:
    """Print every run and what is left of the whole; nothing is started."""
    local = args.launcher == "local"
    estimate = Estimate(args.runs, device_name(args.device) if local else None)
    seconds = {run: estimate.seconds_left(run) for run in left}
    slots = base.launcher("local", wanted).slots if local else args.workers or len(stages)
    console = Console(highlight=False, width=200)  # a narrow terminal wraps; nothing is cut off
    console.print(plan_table(stages, seconds))
    console.print(plan_summary(stages, seconds, slots), markup=False)


# --- carrying it out ----------------------------------------------------------------------------


def carry_out(
    table: Table,
    runs: Sequence[Planned],
    left: Sequence[Planned],
    args: argparse.Namespace,
    wanted: base.LaunchOptions,
) -> Sweep:
    """Bring what is left to its end. Exits with the signal's code when one comes."""
    console = Console(stderr=True, highlight=False)
    launcher = base.launcher(args.launcher, wanted)
    log = Path(args.runs) / ".sweeps" / f"{table.path.stem}-{table.sha256[:8]}.log"
    family = Family(table.title, table.sha256, [run.folder for run in runs], args.tracking, log)
    outcome, wait_s = "KILLED", 5
    try:
        with Board(len(runs), len(runs) - len(left), console) as board:
            sweep = Sweep(left, launcher, args.retries, board)
            sweep.go()
        outcome, wait_s = "FAILED" if sweep.failed else "FINISHED", 30
    except Interrupted as error:
        console.print(f"Stopped by {error}; what ran is saved. The same command goes on.")
        sys.exit(error.exit_code)
    finally:
        launcher.close()
        if place := family.finish(outcome, wait_s):
            console.print(f"MLflow: {place}", markup=False, soft_wrap=True)
    return sweep
