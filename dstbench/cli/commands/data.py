"""`dstbench data`: fetch a dataset, or decode it ahead of the first run."""

import argparse
from pathlib import Path
from typing import Any

from dstbench.config.choices import Choices
from dstbench.data import datasets
from dstbench.data.dataset_folder import split_dataset
from dstbench.data.images import Dataset
from dstbench.data.sources.digits import DIGITS
from dstbench.data.sources.published import PUBLISHED

RECIPE = "images"  # of datasets that are not the suite's


def main(args: argparse.Namespace) -> int:
    if args.action == "fetch":
        print(f"{args.name} is in {datasets.fetch(args.name, args.data_root)}")
        return 0
    name, root = split_dataset(args.name, args.data_root)
    dataset = _loaded(name, root, args)
    for note in dataset.notes:
        print(f"{name}: {note}")
    print(
        f"{name}: {len(dataset.train):,} training and {len(dataset.test):,} test images"
        f"{_shape(dataset)}, {len(dataset.classes)} classes, content sha256 {dataset.sha256}"
    )
    if name in PUBLISHED:
        print(f"Every image and label is that of {PUBLISHED[name].title} as published.")
    return 0


def _loaded(name: str, root: Path | None, args: argparse.Namespace) -> Dataset[Any]:
    """Return the dataset as a run of the recipe loads it."""
    if name in (DIGITS, *PUBLISHED) and not (args.recipe or args.sets):
        return datasets.load(name, root, args.cache)
    from dstbench.training.configure import assemble

    # the method is not used: any that fits every recipe
    choices = Choices(
        files=("methods/dense.gin",),
        recipe=args.recipe or RECIPE,
        axes=(("dataset", name),),
        sets=tuple(args.sets),
    )
    run, _ = assemble(choices, "fp32")
    return datasets.load_images(run.dataset, run.pipeline, root, args.cache)


def _shape(dataset: Dataset[Any]) -> str:
    """Return the size of decoded images in words; of others it is not known."""
    if not hasattr(dataset.train, "pixels"):
        return ""
    height, width, channels = dataset.train.pixels.shape[1:]
    return f" of {height}×{width}×{channels}"
