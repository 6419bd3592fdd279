"""The images of a deployed network's run, where they are on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dstbench.data.datasets import load_images
from dstbench.data.images import Dataset
from dstbench.errors import UserError

if TYPE_CHECKING:
    from dstbench.training.trained_network import TrainedNetwork


def images_of_run(
    network: "TrainedNetwork", data_root: Path | None, cache: Path | None
) -> Dataset[Any]:
    """Return the dataset of a network's run.

    data_root, cache: folders of datasets and of decoded data; None for the defaults.

    Raises UserError: when it is not on this machine, or has other images.
    """
    run = network.run
    dataset = load_images(run.dataset, run.pipeline, data_root, cache)
    if dataset.sha256 != network.record["provenance"]["dataset_sha256"]:
        raise UserError(f"{run.dataset}: the images are not those that the run had.")
    return dataset
