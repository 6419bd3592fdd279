"""Parsed arguments → the choices of a run, for every command that takes a run's options."""

import argparse
from pathlib import Path
from typing import Any

from dstbench.config.choices import SHORT, Choices
from dstbench.data.dataset_folder import split_dataset
from dstbench.errors import UserError


def choices_from(args: argparse.Namespace) -> tuple[Choices, Path | None]:
    """Return the choices and the data root.

    Raises UserError for a dataset folder that does not exist.
    """
    dataset = args.dataset
    data_root = getattr(args, "data_root", None)  # not an option of commands that read no data
    if dataset is not None:
        dataset, data_root = split_dataset(dataset, data_root)
    axes = {
        "sparsity": args.sparsity,
        "seed": args.seed,
        "dataset": dataset,
        "model": args.model,
        "protocol": args.protocol,
    }
    choices = Choices(
        files=tuple(args.files),
        recipe=args.recipe,
        axes=tuple((name, value) for name, value in axes.items() if value is not None),
        sets=(*args.sets, *_engine(args), *_start(args)),
        plugins=tuple(args.plugins),
        short=short_from(args),
    )
    return choices, data_root


def short_from(args: argparse.Namespace) -> tuple[tuple[str, Any], ...]:
    """Return the short options that are given, such as ("epochs", 5)."""
    given = ((name, getattr(args, name)) for name in SHORT)
    return tuple((name, value) for name, value in given if value is not None)


def _start(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the bindings of `--from` and `--take`; none where they are not given.

    Raises UserError for a file that is no network.
    """
    if args.start is None:
        if args.take is not None:
            raise UserError(f"--take {args.take}: give the run to take from, with --from.")
        return ()
    from dstbench.training.starting_network import starting_bindings  # imports torch

    return starting_bindings(args.start, args.take)


def _engine(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the binding of `--engine`; none where it is not given, or no option of the command."""
    engine = getattr(args, "engine", None)
    return () if engine is None else (f"Run.engine={engine!r}",)
