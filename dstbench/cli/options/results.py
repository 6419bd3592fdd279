"""Options of the commands that show, check, measure and deploy finished runs."""

import argparse
from pathlib import Path

from dstbench.cli.options.shared import (
    add_data,
    add_device,
    add_environment,
    add_plugin,
    add_runs,
    add_threads,
    add_tracking,
)
from dstbench.cli.options.values import batch_sizes, image_shape, number, positive, whole_number

_RUN = "run folder, record, or MLflow run id"
_RUNS = "run folders (default: all below --runs)"


# fmt: off
def sync_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("directories", nargs="*", type=Path, metavar="RUN", help=_RUNS)
    add_runs(command)
    add_tracking(command)


def plot_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("directories", nargs="*", type=Path, metavar="RUN", help=_RUNS)
    add("--out", type=Path, default=Path("figures"), metavar="DIR",
        help="folder for the figures (default: figures)")
    add_runs(command)


def leaderboard_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("grids", nargs="*", metavar="FILE.gin",
        help="grids to render as tables (default: the suite's)")
    add("--out", type=Path, default=Path("leaderboard"), metavar="DIR",
        help="folder of records/ and the rendered files (default: leaderboard)")
    add("--from", action="append", default=[], dest="sources", metavar="DIR|URI",
        help="collect finished runs first, from a folder of runs or an MLflow store")
    add("--count-costs", action="store_true",
        help="first count again what the cost tables show")
    add("--check", action="store_true",
        help="exit with 1 if the files differ from what the records give")
    add("--selected-on-test", action="store_true",
        help="also show runs whose best epoch was chosen on test images, marked")
    add_plugin(command)


def validate_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", nargs="+", type=Path, metavar="RECORD.json",
                         help="records to check")


def verify_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("files", nargs="+", type=Path, metavar="RECORD.json",
        help="records to recompute, or folders of runs")
    add("--out", type=Path, default=Path("leaderboard"), metavar="DIR",
        help="leaderboard of records that are not in one (default: leaderboard)")
    add("--write", action="store_true",
        help="note the outcome in the leaderboard's verified.json and replications/")
    add("--retrain", action="store_true",
        help="train each run again, and compare its accuracy")
    add_environment(command)


def measure_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("run", nargs="?", metavar="RUN", help=_RUN)
    add("--worst-case", metavar="MODEL",
        help="instead of a run: MODEL with every live weight on a live path")
    add("--sparsity", type=number, metavar="S", help="sparsity of the worst case")
    add("--image", type=image_shape, metavar="C,H,W",
        help="image shape of the worst case (default: 3,32,32)")
    add("--classes", type=whole_number, metavar="N",
        help="classes of the worst case (default: 10)")
    add("--batch", type=batch_sizes, default="1,2,64", metavar="N,N,…",
        help="batch sizes (default: 1,2,64)")
    add("--repeats", type=whole_number, metavar="N",
        help="timed calls of each form (default: as many as the time allows, 1 to 100)")
    add("--seconds", type=positive, default=100.0, metavar="S",
        help="time for everything, compilers included (default: 100)")
    add("--json", action="store_true",
        help="print JSON; progress only if standard error is a terminal")
    add("--quiet", action="store_true", help="print the result only, no progress")
    add_runs(command)
    add_data(command)
    add_tracking(command)
    add_device(command)
    add_threads(command)
    add_plugin(command)


def deploy_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("run", metavar="RUN", help=_RUN)
    add("--out", type=Path, metavar="DIR",
        help="folder for the files (default: deployed/ in the run folder)")
    add("--best", action="store_true",
        help="use the epoch of the best validation accuracy, not the last")
    add("--dense", action="store_true",
        help="export only the dense network as ONNX, for methods with a dense offset (DCTpS)")
    add("--c", action="store_true",
        help="also write the network as C99, in float32 and in int8, and measure both")
    add("--web", action="store_true",
        help="write one web page, too, that runs the network in a browser and draws it")
    add_runs(command)
    add_data(command)
    add_tracking(command)
    add_plugin(command)
