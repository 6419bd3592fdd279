"""Options that several commands share, and the types of their values; argparse only."""

import argparse
import math
from pathlib import Path


# fmt: off
def say_what(command: argparse.ArgumentParser) -> None:
    """Options that decide what is run."""
    command.add_argument("files", nargs="+", metavar="FILE.gin",
                         help="the method's gin file, then further ones")
    command.add_argument("--recipe", metavar="NAME", help="training recipe (default: digits)")
    axes = command.add_argument_group("the axes of a comparison (gin macros)")
    axes.add_argument("--sparsity", type=number, metavar="S",
                      help="fraction removed, such as 0.999 for 99.9 %%")
    axes.add_argument("--seed", type=whole, metavar="N", help="of weights, masks and batches")
    axes.add_argument("--dataset", metavar="NAME", help="id of a dataset, or its folder")
    axes.add_argument("--model", metavar="NAME", help="a registered model, such as ResNet20")
    axes.add_argument("--protocol", metavar="NAME", help="strict, paper or itop_compat")
    command.add_argument("--set", action="append", default=[], dest="sets", metavar="BINDING",
                         help="a gin binding, such as 'RigL.drop_fraction=0.3'")
    say_plugin(command)


def say_where(command: argparse.ArgumentParser) -> None:
    """Options that decide where and with what it runs; none changes which run it is."""
    say_runs(command)
    say_data(command)
    say_tracking(command)
    command.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, …")
    command.add_argument("--threads", type=whole, metavar="N", help="CPU threads (default: all)")


def say_runs(command: argparse.ArgumentParser) -> None:
    command.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR",
                         help="folder of run folders (default: runs)")


def say_data(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data-root", type=Path, metavar="DIR",
                         help="folder of datasets (default: $DSTBENCH_DATA, or data)")
    command.add_argument("--cache", type=Path, metavar="DIR",
                         help="folder of decoded data (default: $DSTBENCH_CACHE, then the "
                              "user's cache folder)")


def say_tracking(command: argparse.ArgumentParser) -> None:
    command.add_argument("--tracking", metavar="URI",
                         help="MLflow store, or off (default: $MLFLOW_TRACKING_URI, then "
                              "sqlite:///mlflow.db)")


def say_plugin(command: argparse.ArgumentParser) -> None:
    help = "a Python file that registers methods or models"
    command.add_argument(
        "--plugin", action="append", type=Path, default=[], dest="plugins", metavar="FILE.py",
        help=help,
    )
# fmt: on


def number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number")
    return value


def positive(text: str) -> float:
    if (value := number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


def whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
