"""Augmented batches: images a second, against torchvision's PIL transforms in two loader workers.

    python benchmarks/batches.py [--images 10000] [--rounds 5] [--threads 2]

Both give the same thing from the same CIFAR-sized images: reflection padding by 4, a random crop of
32×32, a random flip, normalisation, batches of 128. Epochs are timed alternately, the ratio is that
of the medians. The loader's workers live on between epochs, and starting them is not counted.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Iterable, Iterator

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms

from dstbench.batches import Batches, Pipeline
from dstbench.images import Images

BATCH = 128
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
WORKERS = 2


class PILImages(TorchDataset):
    """As torchvision's CIFAR10 hands images out: one array to a PIL image to a transform."""

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


def seconds(batches: Iterable[tuple[Tensor, Tensor]], expected: int) -> float:
    """Time to go through one epoch of `expected` images."""
    began = time.perf_counter()
    seen = sum(len(y) for _, y in batches)
    elapsed = time.perf_counter() - began
    assert seen == expected
    return elapsed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="of this process")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (args.images, 32, 32, 3), dtype=np.uint8)
    images = Images(pixels, rng.integers(0, 10, args.images))
    pipeline = Pipeline(pad=4, flip=True, mean=MEAN, std=STD).fitted(images)
    ours = Batches(images, pipeline, BATCH, 0, "cpu")
    theirs = DataLoader(
        PILImages(images), BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True
    )

    def epoch(number: int) -> Iterator[tuple[Tensor, Tensor]]:
        steps = ours.steps_per_epoch
        return (ours.at(step) for step in range(number * steps, (number + 1) * steps))

    seconds(theirs, args.images)  # starts the workers
    seconds(epoch(0), args.images)
    times: dict[str, list[float]] = {"dstbench": [], "torchvision": []}
    for round_ in range(1, args.rounds + 1):
        times["torchvision"].append(seconds(theirs, args.images))
        times["dstbench"].append(seconds(epoch(round_), args.images))
    median = {name: statistics.median(values) for name, values in times.items()}

    print(
        f"{platform.machine()} {processor()}; torch {torch.__version__}, "
        f"torchvision {torchvision.__version__}, Pillow {PIL.__version__}, "
        f"Python {platform.python_version()}; {torch.get_num_threads()} threads, "
        f"{WORKERS} loader workers"
    )
    for name, value in median.items():
        spread = f"{min(times[name]):.3f} … {max(times[name]):.3f}"
        print(f"{name:12} {args.images / value:10,.0f} images/s  ({spread} s an epoch)")
    print(f"ratio        {median['torchvision'] / median['dstbench']:.1f}× (goal: at least 12×)")


def processor() -> str:
    """The processor's name where the system tells it."""
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return f"{names[0]} ×{len(names)}" if names else platform.processor()


if __name__ == "__main__":
    main()
