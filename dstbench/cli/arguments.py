"""What was typed about a run itself, as every command that takes a run's options reads it."""

import argparse
from pathlib import Path

from dstbench.config.choices import Choices
from dstbench.data.datasets import KNOWN
from dstbench.errors import UserError


def choices_from(args: argparse.Namespace) -> tuple[Choices, Path | None]:
    """The choices, and the data root.

    A dataset given as a folder is an id (its name) and a data root (the folder around it).
    Raises UserError for a folder that is not there.
    """
    data_root = getattr(args, "data_root", None)  # a command that reads no data has none
    dataset = args.dataset
    if dataset is not None and ("/" in dataset or dataset in ("", ".", "..")):
        folder = Path(dataset).absolute()
        if not dataset or not folder.is_dir():
            raise UserError(
                f"--dataset {dataset}: no such folder. Give a dataset's id (`dstbench list "
                "datasets`) or an existing folder of images or parquet files."
            )
        if data_root is not None:
            raise UserError(f"--dataset {dataset} is a folder, so leave --data-root out.")
        data_root, dataset = folder.parent, folder.name
        if dataset in KNOWN:
            raise UserError(
                f"--dataset: the id {dataset!r} belongs to a dataset of the suite. Give your "
                "folder another name, so that results never mix."
            )
    axes = {
        "sparsity": args.sparsity, "seed": args.seed, "dataset": dataset, "model": args.model,
        "protocol": args.protocol,
    }  # fmt: skip
    choices = Choices(
        files=tuple(args.files),
        recipe=args.recipe,
        axes=tuple((name, value) for name, value in axes.items() if value is not None),
        sets=tuple(args.sets),
        plugins=tuple(args.plugins),
    )
    return choices, data_root
