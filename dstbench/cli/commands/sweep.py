"""`dstbench sweep`: plans the runs of a grid, and runs what is missing."""

import argparse

from rich.console import Console

from dstbench.errors import UserError
from dstbench.sweeps.display import plan_summary, plan_table
from dstbench.sweeps.estimate import Estimate
from dstbench.sweeps.launchers.base import open_launcher, parse_options
from dstbench.sweeps.launchers.slurm_script import batch_script
from dstbench.sweeps.plan import RunOptions, SweepPlan, title
from dstbench.sweeps.request import SweepRequest
from dstbench.training.device import choose_device, device_name
from dstbench.utils.signals import Interrupted


def main(args: argparse.Namespace) -> int:
    request = SweepRequest(
        grid=args.file,
        shared=RunOptions(
            args.runs, args.device, args.data_root, args.cache, args.tracking, args.engine
        ),
        only=tuple(args.only),
        launcher=args.launcher,
        workers=args.workers,
        threads=args.threads,
        retries=args.retries,
        launch=parse_options(args.launch),
        plugins=tuple(args.plugins),
        published=args.published,
    )
    if args.print_script and args.launcher != "slurm":
        raise UserError("--print-script: is for --launcher slurm.")
    if args.print_script and request.shared.environment:
        raise UserError(
            "--tracking: the script would show the address. Set MLFLOW_TRACKING_URI in the shell "
            "that submits it; sbatch hands it on."
        )
    plan = request.plan()
    if args.print_script:
        options = request.launch_options.options
        print(batch_script(plan.remaining, options, args.threads, args.workers), end="")
        return 0
    if args.dry_run:
        show(request, plan)
        return 0
    if not plan.remaining:
        print(plan_summary(plan.stages, {}, 1))
        return 0
    try:
        sweep = request.carry_out(plan)
    except Interrupted as error:
        return error.exit_code
    for why in dict.fromkeys(sweep.failed.values()):
        print(f"failed: {why}")
        for run in (run for run, reason in sweep.failed.items() if reason == why):
            print(f"  {title(run.job)}  log: {run.log}")
    done = len(plan.stages) - len(sweep.failed)
    print(f"{done} of {len(plan.stages)} runs are done, {len(sweep.failed)} failed.")
    return 1 if sweep.failed else 0


def show(request: SweepRequest, plan: SweepPlan) -> None:
    """Print all runs, their status and the time left; nothing is started."""
    local = request.launcher == "local"
    device = device_name(choose_device(request.shared.device)) if local else None
    estimate = Estimate(request.shared.runs, device)
    seconds = {run: estimate.seconds_left(run) for run in plan.remaining}
    many = request.workers or len(plan.stages)
    slots = open_launcher("local", request.launch_options).slots if local else many
    console = Console(highlight=False, width=200)  # a narrow terminal wraps; nothing is cut off
    console.print(plan_table(plan.stages, seconds))
    console.print(plan_summary(plan.stages, seconds, slots), markup=False)
