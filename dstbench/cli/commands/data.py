"""`dstbench data`: fetch a dataset, or decode it ahead of the first run."""

import argparse

from dstbench.data import datasets
from dstbench.data.sources.published import PUBLISHED


def main(args: argparse.Namespace) -> int:
    if args.action == "fetch":
        print(f"{args.name} is in {datasets.fetch(args.name, args.data_root)}")
        return 0
    dataset = datasets.load(args.name, args.data_root, args.cache)
    height, width, channels = dataset.train.pixels.shape[1:]
    print(
        f"{dataset.name}: {len(dataset.train.labels):,} training and "
        f"{len(dataset.test.labels):,} test images of {height}×{width}×{channels}, "
        f"{len(dataset.classes)} classes, content sha256 {dataset.sha256}"
    )
    if args.name in PUBLISHED:
        print(f"Every image and label is that of {PUBLISHED[args.name].title} as published.")
    return 0
