"""The parser of the command line: all commands and their options; argparse only."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from dstbench import __version__
from dstbench.cli.options import (
    add_choices,
    add_data,
    add_data_root,
    add_device,
    add_engine,
    add_environment,
    add_plugin,
    add_runs,
    add_settings,
    add_threads,
    add_tracking,
    batch_sizes,
    image_shape,
    number,
    positive,
    whole_number,
)
from dstbench.sweeps.launchers.base import NAMES as LAUNCHERS
from dstbench.utils.printable import harmless

LISTS = (
    "methods", "parts", "activations", "recipes", "datasets", "models", "optimizers", "schedules",
    "pipelines", "grids",
)  # fmt: skip

_RUN = "run folder, record, or MLflow run id"
_RUNS = "run folders (default: all below --runs)"


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, harmless(f"{self.prog}: {message}\nTry: {self.prog} --help\n"))


def parser() -> argparse.ArgumentParser:
    """Return the parser; the parsed arguments have the command's name in `command`."""
    top = _Parser(
        prog="dstbench",
        description="Train and compare sparse networks.",
        epilog="Try: dstbench run methods/rigl.gin",
    )
    top.add_argument("--version", action="version", version=f"dstbench {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for name, (add_options, help, description) in _COMMANDS.items():
        add_options(commands.add_parser(name, help=help, description=description or f"{help}."))
    return top


# fmt: off
def _run(command: argparse.ArgumentParser) -> None:
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


def _cost(command: argparse.ArgumentParser) -> None:
    add_choices(command)
    add = command.add_argument
    add("--image", type=image_shape, metavar="C,H,W",
        help="shape of an image, for an unknown dataset")
    add("--classes", type=whole_number, metavar="N",
        help="number of classes, for an unknown dataset")
    add("--layers", action="store_true", help="print every layer as well")
    add("--json", action="store_true", help="print JSON, with all layers")


def _list(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("what", nargs="?", metavar="WHAT",
        help=f"one of {', '.join(LISTS)}; or a class, such as RigL, for its settings "
        "(default: all lists)")
    add("--json", action="store_true", help="print JSON")
    add("--settings", action="store_true", help="print docs/settings.md: all settings")
    add_data(command)
    add_plugin(command)


def _doctor(command: argparse.ArgumentParser) -> None:
    add_runs(command)
    add_data(command)
    add_tracking(command)
    add_device(command)


def _data(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(metavar="ACTION", dest="action", required=True)
    fetch = actions.add_parser("fetch", help="download cifar10 or cifar100 to the data folder")
    fetch.add_argument("name", metavar="NAME", help="id of the dataset")
    prepare = actions.add_parser(
        "prepare", help="decode a dataset once, so that runs start faster",
        description="Find a dataset, check its images, and decode them as a recipe wants them.")
    add = prepare.add_argument
    add("name", metavar="NAME|DIR", help="id of the dataset, or its folder")
    add("--recipe", metavar="NAME",
        help="decode the images for this recipe (default: images; the suite's datasets need none)")
    add("--set", action="append", default=[], dest="sets", metavar="BINDING",
        help="a gin binding, such as 'ResizedPipeline.size=96'")
    add_data_root(fetch)
    add_data(prepare)


def _sync(command: argparse.ArgumentParser) -> None:
    command.add_argument("directories", nargs="*", type=Path, metavar="RUN", help=_RUNS)
    add_runs(command)
    add_tracking(command)


def _plot(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("directories", nargs="*", type=Path, metavar="RUN", help=_RUNS)
    add("--out", type=Path, default=Path("figures"), metavar="DIR",
        help="folder for the figures (default: figures)")
    add_runs(command)


def _new(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("name", metavar="NAME", help="name of the method's class, such as MyMethod")
    add("--into", type=Path, default=Path("."), metavar="DIR",
        help="folder for the three files (default: this folder)")


def _check(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("file", nargs="?", metavar="FILE.gin", help="the method's gin file")
    add("--model", metavar="NAME", help="a model to check, instead of a method or as well")
    add_plugin(command)


def _sweep(command: argparse.ArgumentParser) -> None:
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
    add("--retries", type=whole_number, default=2, metavar="N",
        help="how many times a run that died is started again (default: 2)")
    add("--dry-run", action="store_true", help="print the plan and its estimated time only")
    add("--print-script", action="store_true",
        help="with --launcher slurm: print a batch script of the missing runs, to submit by hand")
    add("--launch", action="append", default=[], metavar="NAME=VALUE",
        help="option of the launcher, such as slurm_partition=gpu or gpus=0.5")
    add_environment(command)
    add_engine(command)
    add_plugin(command)


def _compare(command: argparse.ArgumentParser) -> None:
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
    add("--retries", type=whole_number, default=2, metavar="N",
        help="how many times a run that died is started again (default: 2)")
    add_environment(command)
    add_engine(command)


def _leaderboard(command: argparse.ArgumentParser) -> None:
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


def _validate(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", nargs="+", type=Path, metavar="RECORD.json",
                         help="records to check")


def _verify(command: argparse.ArgumentParser) -> None:
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


def _measure(command: argparse.ArgumentParser) -> None:
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


def _deploy(command: argparse.ArgumentParser) -> None:
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


# name → (adds its options, help, description if not the help)
_COMMANDS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], str, str]] = {
    "run": (_run, "train a network and record the run", (
        "Train a network and record the run. If it was interrupted, it resumes from its last "
        "checkpoint; if it is done, its result is shown. Bindings are applied in this order: the "
        "method's file, the recipe, further files, --sparsity and the like, --set, --epochs and "
        "the like; later ones win.")),
    "cost": (_cost, "count the cost of a method's network, without training", (
        "Count the MACs, weights and bytes of a run's final network, without training it and "
        "without reading images. Takes the same options as run.")),
    "list": (_list, "list methods, parts, recipes, datasets and models", ""),
    "doctor": (_doctor, "check versions, device, data and MLflow store", ""),
    "data": (_data, "fetch or prepare a dataset", ""),
    "sync": (_sync, "send recorded runs to MLflow, where they are missing", ""),
    "plot": (_plot, "draw figures of runs, as PNG and SVG", ""),
    "new": (_new, "create files for a new method: class, gin file, test", ""),
    "check": (_check, "run the conformance suite on a method or a model", ""),
    "sweep": (_sweep, "run a grid of runs, except those that are done", (
        "Run the missing runs of a grid, resume interrupted ones, and retry those that died. One "
        "failure stops no other run. Run the same command again to resume.")),
    "compare": (_compare, "find out whether one of two methods is ahead", (
        "Train two methods on the same seeds, 0, 1, 2, …, until a test that may be looked at after "
        "every pair tells them apart. Finished runs are reused; run the same command again to "
        "resume. With two finished runs instead: compare their predictions of the test images.")),
    "leaderboard": (_leaderboard, "render tables, figures and the page from records", (
        "Collect finished records, and render tables, figures and the page from them.")),
    "validate": (_validate, "check records before they are submitted", ""),
    "verify": (_verify, "recompute records from the networks and predictions they carry", (
        "Rebuild the network of each record, and compare its counts, and the accuracy of its "
        "predictions; where the test images are available, also the predictions. Methods of the "
        "suite only; nothing in a record is executed.")),
    "measure": (_measure, "measure latency and throughput of a trained network", (
        "Measure the latency of a trained network in every form that can run it. The forms take "
        "turns; medians are printed.")),
    "deploy": (_deploy, "compile a trained network to a small and fast program", (
        "Compile a trained network: fold batch norms, remove dead channels, and write a program "
        "for numpy or numba, the sparse weights, ONNX, and a model card.")),
}
