"""Test images for the page of a network: the first ones of its classes, not chosen."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dstbench.data.augment import centre_crop
from dstbench.data.preprocessing import ImageNetPipeline
from dstbench.data.sources.decode import decode_rgb
from dstbench.deployment.run_images import images_of_run
from dstbench.errors import UserError

if TYPE_CHECKING:
    from dstbench.training.trained_network import TrainedNetwork

_MOST = 20  # images


@dataclass(frozen=True)
class Sample:
    """A test image.

    pixels: uint8 (height, width, channels), as the network takes them.
    label: its class.
    number: in the test set.
    """

    pixels: np.ndarray
    label: int
    number: int


def first_test_images(
    network: "TrainedNetwork", data_root: Path | None = None, cache: Path | None = None
) -> tuple[list[Sample], str]:
    """Return the first test images of a run's classes, and why there are none or "".

    Two of every class where there are few classes, else one each of evenly spaced classes.

    data_root, cache: folders of datasets and of decoded data; None for the defaults.
    """
    run = network.run
    try:
        dataset = images_of_run(network, data_root, cache)
    except UserError as error:
        return [], f"network.html has no test images: {error.message}"
    images = dataset.test
    numbers = chosen(images.labels, len(dataset.classes))
    if isinstance(run.pipeline, ImageNetPipeline):
        fitted = run.pipeline.fitted(dataset.train)
        centre = centre_crop(fitted.resize, fitted.size)
        pixels = [np.asarray(centre(decode_rgb(images.locations.at(n)))) for n in numbers]
    else:
        pixels = [images.pixels[number] for number in numbers]
    return [
        Sample(image, int(images.labels[number]), number)
        for image, number in zip(pixels, numbers, strict=True)
    ], ""


def chosen(labels: np.ndarray, classes: int) -> list[int]:
    """Return numbers of images, ordered by class: the first of all shown classes, then the next.

    labels: (n,), class numbers.
    """
    shown = [number * classes // min(classes, _MOST) for number in range(min(classes, _MOST))]
    rounds = max(1, min(2, _MOST // len(shown)))
    first = [np.flatnonzero(labels == label)[:rounds].tolist() for label in shown]
    return [some[turn] for turn in range(rounds) for some in first if turn < len(some)]
