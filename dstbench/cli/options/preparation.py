"""Options of the commands before a training: what there is, what works, new methods and data."""

import argparse
from pathlib import Path

from dstbench.cli.options.shared import (
    add_data,
    add_data_root,
    add_device,
    add_plugin,
    add_runs,
    add_tracking,
)

LISTS = (
    "methods", "parts", "activations", "recipes", "datasets", "models", "optimizers", "schedules",
    "pipelines", "grids",
)  # fmt: skip


# fmt: off
def list_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("what", nargs="?", metavar="WHAT",
        help=f"one of {', '.join(LISTS)}; or a class, such as RigL, for its settings "
        "(default: all lists)")
    add("--json", action="store_true", help="print JSON")
    add("--settings", action="store_true", help="print docs/settings.md: all settings")
    add_data(command)
    add_plugin(command)


def doctor_options(command: argparse.ArgumentParser) -> None:
    add_runs(command)
    add_data(command)
    add_tracking(command)
    add_device(command)


def data_options(command: argparse.ArgumentParser) -> None:
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


def new_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("name", metavar="NAME", help="name of the method's class, such as MyMethod")
    add("--into", type=Path, default=Path("."), metavar="DIR",
        help="folder for the three files (default: this folder)")


def check_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("file", nargs="?", metavar="FILE.gin", help="the method's gin file")
    add("--model", metavar="NAME", help="a model to check, instead of a method or as well")
    add_plugin(command)
