"""The command line: what can be typed, and nothing of how it is done.

Only argparse is imported here; a command's own file is imported when it is called.
"""

import argparse
import importlib
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from dstbench import __version__
from dstbench.errors import UserError


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as all other mistakes are said."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nTry: {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    top = _Parser(
        prog="dstbench",
        description="Compare ways of training extremely sparse networks.",
        epilog="Try: dstbench run methods/rigl.gin",
    )
    top.add_argument("--version", action="version", version=f"dstbench {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", dest="command", required=True)

    run = commands.add_parser("run", help="train one network and record it", description=(
        "Train one network and record it. The same command again goes on where it stopped, or "
        "shows the result when it is done. Bindings: the method's file, then the recipe, further "
        "files, the options below, --set; later ones win."))  # fmt: skip
    _say_what(run)
    _say_where(run)
    run.add_argument("--fresh", action="store_true", help="start over instead of going on")
    run.add_argument("--checkpoint-seconds", type=_positive, default=60.0, metavar="S",
                     help="time between checkpoints (default: 60)")  # fmt: skip
    run.add_argument("--quiet", action="store_true", help="only the summary, no progress")

    cost = commands.add_parser("cost", help="what a method's network costs, without training",
                               description=(
        "Count what the finished network of a run costs: multiply-accumulates, weights, bytes. "
        "Neither trains nor reads images; takes the same choices as run."))  # fmt: skip
    _say_what(cost)
    cost.add_argument("--image", metavar="C,H,W", help="shape of an image, if it is not known")
    cost.add_argument("--classes", type=_whole, metavar="N", help="classes, if it is not known")
    cost.add_argument("--layers", action="store_true", help="every layer as well")
    cost.add_argument("--json", action="store_true", help="as JSON, layers included")

    lister = commands.add_parser("list", help="what there is: methods, parts, recipes, …")
    lister.add_argument("what", nargs="?", choices=LISTS, help="one kind only (default: all)")
    lister.add_argument("--json", action="store_true", help="as JSON")
    _say_data(lister)
    _say_plugin(lister)

    doctor = commands.add_parser("doctor", help="versions, device, data, store: what works here")
    _say_where(doctor)

    data = commands.add_parser("data", help="fetch or prepare a dataset")
    actions = data.add_subparsers(metavar="ACTION", dest="action", required=True)
    for action, does in (
        ("fetch", "download cifar10 or cifar100 into the data folder"),
        ("prepare", "decode a dataset once, so that runs start at once"),
    ):
        one = actions.add_parser(action, help=does)
        one.add_argument("name", metavar="NAME", help="id of the dataset")
        _say_data(one)

    sync = commands.add_parser("sync", help="send to MLflow what it lacks of recorded runs")
    sync.add_argument("directories", nargs="*", type=Path, metavar="RUN",
                      help="run folders (default: all below --runs)")  # fmt: skip
    _say_runs(sync)
    _say_tracking(sync)

    plot = commands.add_parser("plot", help="figures of runs, as PNG and SVG")
    plot.add_argument("directories", nargs="*", type=Path, metavar="RUN",
                      help="run folders (default: all below --runs)")  # fmt: skip
    plot.add_argument("--out", type=Path, default=Path("figures"), metavar="DIR",
                      help="folder for the figures (default: figures)")  # fmt: skip
    _say_runs(plot)

    new = commands.add_parser("new", help="scaffold a method: class, gin file, test")
    new.add_argument("name", metavar="NAME", help="name of its class, such as MyMethod")
    new.add_argument("--into", type=Path, default=Path("."), metavar="DIR",
                     help="folder for the three files (default: here)")  # fmt: skip

    check = commands.add_parser("check", help="hold a method against the conformance suite")
    check.add_argument("file", metavar="FILE.gin", help="the method's gin file")
    _say_plugin(check)
    return top


LISTS = ("methods", "parts", "recipes", "datasets", "models")


def _say_what(command: argparse.ArgumentParser) -> None:
    """Options that decide what is run."""
    command.add_argument("files", nargs="+", metavar="FILE.gin",
                         help="the method's gin file, then further ones")  # fmt: skip
    command.add_argument("--recipe", metavar="NAME", help="training recipe (default: digits)")
    axes = command.add_argument_group("the axes of a comparison (gin macros)")
    axes.add_argument("--sparsity", type=_number, metavar="S",
                      help="fraction removed, such as 0.999 for 99.9 %%")  # fmt: skip
    axes.add_argument("--seed", type=_whole, metavar="N", help="of weights, masks and batches")
    axes.add_argument("--dataset", metavar="NAME", help="id of a dataset, or its folder")
    axes.add_argument("--model", metavar="NAME", help="a registered model, such as ResNet20")
    axes.add_argument("--protocol", metavar="NAME", help="strict, paper or itop_compat")
    command.add_argument("--set", action="append", default=[], dest="sets", metavar="BINDING",
                         help="a gin binding, such as 'RigL.drop_fraction=0.3'")  # fmt: skip
    _say_plugin(command)


def _say_where(command: argparse.ArgumentParser) -> None:
    """Options that decide where and with what it runs; none changes which run it is."""
    _say_runs(command)
    _say_data(command)
    _say_tracking(command)
    command.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, …")
    command.add_argument("--threads", type=_whole, metavar="N", help="CPU threads (default: all)")


def _say_runs(command: argparse.ArgumentParser) -> None:
    command.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR",
                         help="folder of run folders (default: runs)")  # fmt: skip


def _say_data(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data-root", type=Path, metavar="DIR",
                         help="folder of datasets (default: $DSTBENCH_DATA, or data)")  # fmt: skip
    command.add_argument("--cache", type=Path, metavar="DIR",
                         help="folder of decoded data (default: $DSTBENCH_CACHE, then the "
                              "user's cache folder)")  # fmt: skip


def _say_tracking(command: argparse.ArgumentParser) -> None:
    command.add_argument("--tracking", metavar="URI",
                         help="MLflow store, or off (default: $MLFLOW_TRACKING_URI, then "
                              "sqlite:///mlflow.db)")  # fmt: skip


def _say_plugin(command: argparse.ArgumentParser) -> None:
    help = "a Python file that registers methods or models"
    command.add_argument(
        "--plugin", action="append", type=Path, default=[], dest="plugins", metavar="FILE.py",
        help=help,
    )  # fmt: skip


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number")
    return value


def _positive(text: str) -> float:
    if (value := _number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command. Exit codes: 0 done, 1 the run or check failed, 2 a mistake in the input."""
    args = parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a sign shows ?
    # OpenMP threads that wait spin for long, which on a busy machine slows small networks tenfold.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    module: Any = importlib.import_module(f"dstbench.commands.{args.command}")
    try:
        code = module.main(args)
        sys.stdout.flush()
    except UserError as error:
        print(f"dstbench: {error.message}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("dstbench: interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
