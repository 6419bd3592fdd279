"""The command line's grammar: every command and its options; argparse only."""

import argparse
from pathlib import Path
from typing import NoReturn

from dstbench import __version__
from dstbench.cli.options import (
    number,
    positive,
    say_data,
    say_plugin,
    say_runs,
    say_tracking,
    say_what,
    say_where,
    whole,
)

LISTS = ("methods", "parts", "recipes", "datasets", "models")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as all other mistakes are said."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nTry: {self.prog} --help\n")


# fmt: off
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
        "files, the options below, --set; later ones win."))
    say_what(run)
    say_where(run)
    run.add_argument("--fresh", action="store_true", help="start over instead of going on")
    run.add_argument("--checkpoint-seconds", type=positive, default=60.0, metavar="S",
                     help="time between checkpoints (default: 60)")
    run.add_argument("--quiet", action="store_true", help="only the summary, no progress")
    run.add_argument("--sync-batch-norm", action="store_true",
                     help="under torchrun: batch norm over the whole batch (GPUs)")

    cost = commands.add_parser("cost", help="what a method's network costs, without training",
                               description=(
        "Count what the finished network of a run costs: multiply-accumulates, weights, bytes. "
        "Neither trains nor reads images; takes the same choices as run."))
    say_what(cost)
    cost.add_argument("--image", metavar="C,H,W", help="shape of an image, if it is not known")
    cost.add_argument("--classes", type=whole, metavar="N", help="classes, if it is not known")
    cost.add_argument("--layers", action="store_true", help="every layer as well")
    cost.add_argument("--json", action="store_true", help="as JSON, layers included")

    lister = commands.add_parser("list", help="what there is: methods, parts, recipes, …")
    lister.add_argument("what", nargs="?", choices=LISTS, help="one kind only (default: all)")
    lister.add_argument("--json", action="store_true", help="as JSON")
    say_data(lister)
    say_plugin(lister)

    doctor = commands.add_parser("doctor", help="versions, device, data, store: what works here")
    say_where(doctor)

    data = commands.add_parser("data", help="fetch or prepare a dataset")
    actions = data.add_subparsers(metavar="ACTION", dest="action", required=True)
    for action, does in (
        ("fetch", "download cifar10 or cifar100 into the data folder"),
        ("prepare", "decode a dataset once, so that runs start at once"),
    ):
        one = actions.add_parser(action, help=does)
        one.add_argument("name", metavar="NAME", help="id of the dataset")
        say_data(one)

    sync = commands.add_parser("sync", help="send to MLflow what it lacks of recorded runs")
    sync.add_argument("directories", nargs="*", type=Path, metavar="RUN",
                      help="run folders (default: all below --runs)")
    say_runs(sync)
    say_tracking(sync)

    plot = commands.add_parser("plot", help="figures of runs, as PNG and SVG")
    plot.add_argument("directories", nargs="*", type=Path, metavar="RUN",
                      help="run folders (default: all below --runs)")
    plot.add_argument("--out", type=Path, default=Path("figures"), metavar="DIR",
                      help="folder for the figures (default: figures)")
    say_runs(plot)

    new = commands.add_parser("new", help="scaffold a method: class, gin file, test")
    new.add_argument("name", metavar="NAME", help="name of its class, such as MyMethod")
    new.add_argument("--into", type=Path, default=Path("."), metavar="DIR",
                     help="folder for the three files (default: here)")

    check = commands.add_parser("check", help="hold a method against the conformance suite")
    check.add_argument("file", metavar="FILE.gin", help="the method's gin file")
    say_plugin(check)

    sweep = commands.add_parser("sweep", help="run a grid of runs, skipping what is done",
                                description=(
        "Run what is missing of a grid, go on with what was interrupted, retry what died. One "
        "failure never stops the rest; the same command again finishes what is left."))
    sweep.add_argument("file", metavar="FILE.gin", help="the grid, such as gin/tables/table1.gin")
    sweep.add_argument("--launcher", choices=("local", "ray", "slurm"), default="local",
                       help="processes here (default), Ray, or Slurm")
    sweep.add_argument("--workers", type=whole, metavar="N",
                       help="runs at a time (default: one a core, or one a GPU)")
    sweep.add_argument("--only", action="append", default=[], metavar="FILTER",
                       help="only some runs, such as 'method=EAST,sparsity=0.9995'")
    sweep.add_argument("--retries", type=whole, default=2, metavar="N",
                       help="times a run that died is started again (default: 2)")
    sweep.add_argument("--dry-run", action="store_true", help="print the plan and its cost only")
    sweep.add_argument("--launch", action="append", default=[], metavar="NAME=VALUE",
                       help="for the launcher, such as slurm_partition=gpu or gpus=0.5")
    say_where(sweep)
    say_plugin(sweep)

    board = commands.add_parser("leaderboard", help="tables, figures and page from records",
                                description=(
        "Collect finished records, and render the tables, figures and the page from them."))
    board.add_argument("grids", nargs="*", metavar="FILE.gin",
                       help="grids to make tables of (default: the suite's)")
    board.add_argument("--out", type=Path, default=Path("leaderboard"), metavar="DIR",
                       help="folder of records/ and of what is rendered (default: leaderboard)")
    board.add_argument("--from", action="append", default=[], dest="sources", metavar="DIR|URI",
                       help="first collect finished runs from a folder of runs or an MLflow "
                            "store")
    board.add_argument("--count-costs", action="store_true",
                       help="first count again what the cost tables show")
    board.add_argument("--check", action="store_true",
                       help="exit 1 if the rendered files do not match the records")
    board.add_argument("--selected-on-test", action="store_true",
                       help="show runs whose best epoch was chosen on test images, marked")

    validate = commands.add_parser("validate", help="check records before they are submitted")
    validate.add_argument("files", nargs="+", type=Path, metavar="RECORD.json")

    measure = commands.add_parser("measure", help="latency and throughput of a finished network",
                                  description=(
        "Time a finished network in every form it can be run in, in turns, and print medians."))
    measure.add_argument("run", nargs="?", metavar="RUN",
                         help="run folder, record, or MLflow run id")
    measure.add_argument("--worst-case", metavar="MODEL",
                         help="instead of a run: MODEL with every live weight on a path")
    measure.add_argument("--sparsity", type=number, metavar="S", help="of the worst case")
    measure.add_argument("--image", metavar="C,H,W", help="of the worst case (default: 3,32,32)")
    measure.add_argument("--classes", type=whole, metavar="N",
                         help="of the worst case (default: 10)")
    measure.add_argument("--batch", default="1,2,64", metavar="N,N,…",
                         help="batch sizes (default: 1,2,64)")
    measure.add_argument("--repeats", type=whole, default=100, metavar="N",
                         help="timed calls after the warm-up (default: 100)")
    measure.add_argument("--json", action="store_true", help="as JSON")
    say_where(measure)
    say_plugin(measure)

    deploy = commands.add_parser("deploy", help="make a finished network really small and fast",
                                 description=(
        "Compile a finished network: fold normalisation and dead channels, and write a program "
        "that numpy and numba run, the sparse weights, ONNX, and a model card."))
    deploy.add_argument("run", metavar="RUN", help="run folder, record, or MLflow run id")
    deploy.add_argument("--out", type=Path, metavar="DIR",
                        help="folder for the files (default: deployed/ in the run's folder)")
    deploy.add_argument("--best", action="store_true",
                        help="the epoch that validated best instead of the last")
    deploy.add_argument("--dense", action="store_true",
                        help="only the dense network, as ONNX; for DCTpS, which is one")
    say_runs(deploy)
    say_tracking(deploy)
    say_plugin(deploy)
    return top
