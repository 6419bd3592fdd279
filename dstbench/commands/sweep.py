"""`dstbench sweep`: the runs of a grid, planned, shown, and brought to their end."""

import argparse
import dataclasses
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from dstbench import data, grid, launch
from dstbench.assemble import assemble
from dstbench.cli import parser
from dstbench.commands.choices import choices_from
from dstbench.commands.run import run_name
from dstbench.errors import UserError
from dstbench.grid import Job, Table
from dstbench.place import choose_device, default_precision
from dstbench.run import Run
from dstbench.stop import Interrupted
from dstbench.sweep import Sweep
from dstbench.sweep.estimate import Estimate
from dstbench.sweep.family import Family
from dstbench.sweep.only import only
from dstbench.sweep.plan import Planned, Stage, once_each
from dstbench.sweep.show import Board, plan_summary, plan_table, title

DONE: tuple[Stage, ...] = ("finished", "diverged")


def main(args: argparse.Namespace) -> int:
    if args.workers is not None and args.workers < 1:
        raise UserError(f"--workers {args.workers}: must be at least 1.")
    if args.threads is not None and args.threads < 1:
        raise UserError(f"--threads {args.threads}: must be at least 1.")
    if args.retries < 0:
        raise UserError(f"--retries {args.retries}: must be zero or more.")
    options = launch.options(args.launch)
    table = grid.read(args.file)
    jobs = only(table.jobs, args.only)
    precision = precision_of_runs(args, options)
    runs = once_each([planned(job, args, precision) for job in jobs])
    stages = {run: run.stage() for run in runs}
    left = [run for run, stage in stages.items() if stage not in DONE]
    wanted = launch.Wanted(args.workers, args.threads, args.device, args.runs, options)
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


def planned(job: Job, args: argparse.Namespace, precision: str) -> Planned:
    """The run that a job means, with its identity. Raises UserError for what is wrong with it."""
    arguments = ["run", *job.arguments, *where(args)]
    try:
        choices, _ = choices_from(parser().parse_args(arguments))
        run, resolved = assemble(choices, precision)
        require_as_listed(job, run)
    except UserError as error:
        raise UserError(f"{title(job)}: {error.message}") from None
    if args.launcher != "local":  # the machine that it will run on is not to choose another
        arguments += ["--set", f"Run.precision={run.precision!r}"]
    folder = args.runs / run_name(run, resolved)
    return Planned(job, folder, resolved.sha256, resolved.text, run.epochs, tuple(arguments))


def require_as_listed(job: Job, run: Run) -> None:
    """Raise UserError for a run whose record no table would find under what the grid says it is."""
    would_be = {
        "dataset": Path(run.dataset).name, "model": run.model.__name__,
        "sparsity": run.method.sparsity, "seed": run.seed, "protocol": run.protocol,
        "recipe": run.recipe, "method": run.method.name,
    }  # fmt: skip
    listed = dataclasses.asdict(job) | {"sparsity": job.sparsity or 0.0}
    for name, value in would_be.items():
        if value != listed[name]:
            raise UserError(
                f"its {name} would be {value!r}, but the grid lists it as {listed[name]!r}. Say it "
                "in the section's lists, not in bindings, and in a method's file as %sparsity."
            )


def where(args: argparse.Namespace) -> list[str]:
    """Where and with what each run of the sweep is to run; the launcher chooses the threads."""
    words = ["--runs", str(args.runs), "--device", args.device]
    for option in ("data_root", "cache", "tracking"):
        if (value := getattr(args, option)) is not None:
            words += [f"--{option.replace('_', '-')}", str(value)]
    return words + [word for path in args.plugins for word in ("--plugin", str(path))]


def precision_of_runs(args: argparse.Namespace, options: dict[str, Any]) -> str:
    """The default precision of the device that the runs will have; takes it out of the options.

    Raises UserError for a device that is not here, unless the runs will be somewhere else and
    their precision is said.
    """
    if args.launcher != "local" and "precision" in options:
        if (said := options.pop("precision")) not in ("bf16", "fp32"):
            raise UserError(f"--launch precision={said}: must be bf16 or fp32.")
        return said
    try:
        return default_precision(choose_device(args.device))
    except UserError as error:
        if args.launcher == "local":
            raise
        raise UserError(
            f"{error.message} Or, if there is one where the runs will be, say what it is to "
            "compute in: --launch precision=bf16, or fp32."
        ) from None


def show_plan(
    stages: dict[Planned, Stage],
    left: Sequence[Planned],
    args: argparse.Namespace,
    wanted: launch.Wanted,
) -> None:
    """Print every run and what is left of the whole; nothing is started."""
    local = args.launcher == "local"
    estimate = Estimate(args.runs, device_name(args.device) if local else None)
    seconds = {run: estimate.seconds_left(run) for run in left}
    slots = launch.launcher("local", wanted).slots if local else args.workers or len(stages)
    console = Console(highlight=False, width=200)  # a narrow terminal wraps; nothing is cut off
    console.print(plan_table(stages, seconds))
    console.print(plan_summary(stages, seconds, slots), markup=False)


def device_name(name: str) -> str:
    """The device as records have it."""
    device = choose_device(name)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def require_data(runs: Sequence[Planned], args: argparse.Namespace) -> None:
    """Raise UserError for a dataset that is not here, before run after run says so."""
    there = data.names(args.data_root)
    for name in sorted({run.job.dataset for run in runs if not in_a_folder(run.job)}):
        state = there.get(name, f"not found in {data.root_of(args.data_root).absolute()}")
        if state.startswith("not found"):
            raise UserError(f"dataset {name}: {state}. To leave its runs out, see --only.")


def in_a_folder(job: Job) -> bool:
    """Whether the grid gives the dataset as a folder, which was looked for when it was planned."""
    typed = dict(itertools.pairwise(job.arguments)).get("--dataset", "")
    return "/" in typed


# --- carrying it out ----------------------------------------------------------------------------


def carry_out(
    table: Table,
    runs: Sequence[Planned],
    left: Sequence[Planned],
    args: argparse.Namespace,
    wanted: launch.Wanted,
) -> Sweep:
    """Bring what is left to its end. Exits with the signal's code when one comes."""
    console = Console(stderr=True, highlight=False)
    launcher = launch.launcher(args.launcher, wanted)
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
