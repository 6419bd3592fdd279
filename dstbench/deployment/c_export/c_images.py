"""The images that a network's C is calibrated and tested on: those of its run."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dstbench.data.loaders import DataLoaders
from dstbench.deployment.c_export.shared_library import SharedLibrary
from dstbench.deployment.run_images import images_of_run
from dstbench.training.run import data_loaders
from dstbench.training.runtime_options import RuntimeOptions

if TYPE_CHECKING:
    from dstbench.training.trained_network import TrainedNetwork

CALIBRATION_IMAGES = 256


def loaders_of(
    network: "TrainedNetwork", data_root: Path | None, cache: Path | None
) -> DataLoaders:
    """Return the loaders of a network's run.

    Raises UserError: when its dataset is not on this machine, or has other images.
    """
    dataset = images_of_run(network, data_root, cache)
    return data_loaders(network.run, dataset, RuntimeOptions())


def calibration_images(loaders: DataLoaders) -> np.ndarray:
    """Return training images, not augmented: float32 (n, C, H, W), normalised."""
    images, _ = loaders.health_batch()
    return images[:CALIBRATION_IMAGES].contiguous().numpy()


def accuracy_on_test(library: SharedLibrary, loaders: DataLoaders, classes: int) -> float:
    """Return the percentage of the test images whose largest logit is their label's."""
    correct = count = 0
    for images, labels in loaders.test():
        logits = library.logits(images.contiguous().numpy(), classes)
        correct += int((logits.argmax(1) == labels.numpy()).sum())
        count += len(labels)
    return 100 * correct / count
