"""Options of the commands that define and train runs."""

import argparse
from pathlib import Path

from dstbench.cli.options.shared import (
    add_choices,
    add_engine,
    add_environment,
    add_plugin,
    add_retries,
    add_settings,
)
from dstbench.cli.options.values import image_shape, positive, whole_number
from dstbench.sweeps.launchers.base import NAMES as LAUNCHERS


# fmt: off
def run_options(command: argparse.ArgumentParser) -> None:
    add_choices(command)
    add_environment(command)
    add_engine(command)
    add = command.add_argument
    add("--fresh", action="store_true", help="start over instead of resuming")
    add("--checkpoint-seconds", type=positive, default=60.0, metavar="S",
        help="time between checkpoints (default: 60)")
    add("--quiet", action="store_true", help="print the summary only, no progress")
    add("--sync-batch-norm", action="store_true",
        help="under torchrun: batch norm over the batches of all GPUs")


def cost_options(command: argparse.ArgumentParser) -> None:
    add_choices(command)
    add = command.add_argument
    add("--image", type=image_shape, metavar="C,H,W",
        help="shape of an image, for an unknown dataset")
    add("--classes", type=whole_number, metavar="N",
        help="number of classes, for an unknown dataset")
    add("--layers", action="store_true", help="print every layer as well")
    add("--json", action="store_true", help="print JSON, with all layers")


def sweep_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("file", metavar="FILE.gin", help="the grid, such as gin/tables/table1.gin")
    add("--launcher", choices=LAUNCHERS, default=LAUNCHERS[0],
        help="local processes (default), Ray, or Slurm")
    add("--workers", type=whole_number, metavar="N",
        help="runs at a time (default: one per core, or one per GPU)")
    add("--only", action="append", default=[], metavar="FILTER",
        help="only these runs, such as 'method=EAST,sparsity=0.9995'")
    add("--published", type=Path, metavar="DIR",
        help="leave out the runs that a leaderboard has, such as leaderboard")
    add_retries(command)
    add("--dry-run", action="store_true", help="print the plan and its estimated time only")
    add("--print-script", action="store_true",
        help="with --launcher slurm: print a batch script of the missing runs, to submit by hand")
    add("--launch", action="append", default=[], metavar="NAME=VALUE",
        help="option of the launcher, such as slurm_partition=gpu or gpus=0.5")
    add_environment(command)
    add_engine(command)
    add_plugin(command)


def compare_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("a", metavar="A", help="a method's name or gin file; or a finished run's folder or record")
    add("b", metavar="B", help="the same, compared with A")
    add_settings(command)
    add = command.add_argument
    for side in ("a", "b"):
        add(f"--set-{side}", action="append", default=[], dest=f"sets_{side}", metavar="BINDING",
            help=f"a gin binding for {side.upper()} only")
    add("--max-seeds", type=whole_number, metavar="N",
        help="most pairs of runs, seeds 0 to N − 1 (default: 20)")
    add("--workers", type=whole_number, metavar="N",
        help="runs at a time, of the two of a pair (default: one per core, or one per GPU)")
    add_retries(command)
    add_environment(command)
    add_engine(command)
