"""Options that several commands share."""

import argparse
from pathlib import Path

from dstbench.cli.options.values import number, whole_number


def add_choices(command: argparse.ArgumentParser) -> None:
    """Add the options that define a run."""
    add = command.add_argument
    add("files", nargs="+", metavar="FILE.gin", help="the method's gin file, then further ones")
    axes = add_settings(command)
    axes.add_argument(
        "--seed", type=whole_number, metavar="N", help="seed of weights, masks and batches"
    )
    add(
        "--from",
        dest="start",
        metavar="RUN",
        help="begin with the network of another run: its folder, a network's file, or a state "
        "dict saved by torch",
    )
    add(
        "--take",
        choices=("both", "weights", "masks"),
        help="with --from: what to take of it (default: what a gin file says, else both)",
    )


def add_settings(command: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options that define a run beyond its files and seed; return the group of its axes."""
    add = command.add_argument
    add("--recipe", metavar="NAME", help="training recipe (default: digits)")
    add(
        "--set",
        action="append",
        default=[],
        dest="sets",
        metavar="BINDING",
        help="a gin binding, such as 'RigL.drop_fraction=0.3'",
    )
    add("--epochs", type=whole_number, metavar="N", help="passes over the training images")
    add("--batch-size", type=whole_number, metavar="N", help="images a step")
    add("--lr", type=number, metavar="LR", help="peak learning rate of the recipe's optimizer")
    add_plugin(command)
    axes = command.add_argument_group("axes of a comparison (gin macros)")
    add = axes.add_argument
    add("--sparsity", type=number, metavar="S", help="fraction removed: 0.999 means 99.9 %%")
    add("--dataset", metavar="NAME", help="id of a dataset, or its folder")
    add("--model", metavar="NAME", help="a registered model, such as ResNet20")
    add("--protocol", metavar="NAME", help="strict, paper, itop_compat or all_images")
    return axes


def add_environment(command: argparse.ArgumentParser) -> None:
    """Add the options of training that are no part of a run's identity: folders, store, device."""
    add_runs(command)
    add_data(command)
    add_tracking(command)
    add_device(command)
    add_threads(command)


def add_device(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, …")


def add_threads(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--threads",
        type=whole_number,
        metavar="N",
        help="CPU threads of a run (default: 1 where a step is small and in sweeps, else all)",
    )


def add_engine(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--engine",
        choices=("auto", "torch", "native"),
        help="what computes the steps: torch, native (live weights alone, on a CPU), or auto, the "
        "faster one (default: Run.engine, which is auto)",
    )


def add_retries(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--retries",
        type=whole_number,
        default=2,
        metavar="N",
        help="how many times a run that died is started again (default: 2)",
    )


def add_runs(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help="folder of run folders (default: runs)",
    )


def add_data(command: argparse.ArgumentParser) -> None:
    add_data_root(command)
    command.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="folder of decoded data (default: $DSTBENCH_CACHE, or the user's cache folder)",
    )


def add_data_root(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data-root",
        type=Path,
        metavar="DIR",
        help="folder of datasets (default: $DSTBENCH_DATA, or data)",
    )


def add_tracking(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--tracking",
        metavar="URI",
        help="MLflow store, or off (default: $MLFLOW_TRACKING_URI, or sqlite:///mlflow.db)",
    )


def add_plugin(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--plugin",
        action="append",
        type=Path,
        default=[],
        dest="plugins",
        metavar="FILE.py",
        help="a Python file that registers methods or models",
    )
