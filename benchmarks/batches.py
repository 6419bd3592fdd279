"""Compares augmented batches, in images per second, with torchvision's PIL transforms.

Both sides do the same with the same CIFAR-sized images: reflection padding by 4, a random crop of
32×32, a random flip, normalisation, batches of 128. torchvision runs in two loader workers, which
persist between epochs, so that their start is not measured. Prints the ratio; goal: at least 12.

    python benchmarks/batches.py [--images 10000] [--repeats 5] [--threads 2]
"""

import argparse
import itertools
import os
import platform
from collections.abc import Iterable

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from timing import interleaved, machine
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms

from dstbench.data.images import Images
from dstbench.data.in_memory import InMemoryBatches
from dstbench.data.preprocessing import Pipeline

BATCH = 128
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
WORKERS = 2


class PILImages(TorchDataset):
    """Loads images as torchvision's CIFAR10 does: from array to PIL image to transform."""

    def __init__(self, images: Images):
        self.images = images
        self.transform = transforms.Compose([
            transforms.Pad(4, padding_mode="reflect"),
            transforms.RandomCrop(32),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self.images.pixels[i])
        return self.transform(image), int(self.images.labels[i])


def consume(batches: Iterable[tuple[Tensor, Tensor]], expected: int) -> None:
    """Iterate over one epoch; its number of images must be `expected`."""
    seen = sum(len(y) for _, y in batches)
    assert seen == expected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="of this process")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    # the threads of small operations wait for each other, so other load distorts the result
    print(f"{machine()}, load average {os.getloadavg()[0]:.1f}")
    print(
        f"torchvision {torchvision.__version__}, Pillow {PIL.__version__}, "
        f"Python {platform.python_version()}, {WORKERS} loader workers"
    )

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (args.images, 32, 32, 3), dtype=np.uint8)
    images = Images(pixels, rng.integers(0, 10, args.images))
    pipeline = Pipeline(pad=4, flip=True, mean=MEAN, std=STD).fitted(images)
    batches = InMemoryBatches(images, pipeline, BATCH, 0, "cpu")
    loader = DataLoader(
        PILImages(images), BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True
    )
    epochs = itertools.count()

    def ours() -> None:
        first = next(epochs) * batches.plan.steps_per_epoch
        steps = range(first, first + batches.plan.steps_per_epoch)
        consume((batches.at(step) for step in steps), args.images)

    seconds = interleaved(args.repeats, ours=ours, loader=lambda: consume(loader, args.images))
    print(
        f"Batches: ours {args.images / seconds['ours']:,.0f} images/s, torchvision's loader "
        f"{args.images / seconds['loader']:,.0f} images/s, "
        f"{seconds['loader'] / seconds['ours']:.1f} times faster"
    )


if __name__ == "__main__":
    main()
