"""What a run's networks are fed: its images, divided by its protocol, brought to the device by its
pipeline.

There are two ways to the device, and the pipeline decides: images decoded once that stay there, and
images decoded each time they are needed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from dstbench.data.batch_plan import BatchStream
from dstbench.data.images import Dataset, Labelled
from dstbench.data.in_memory import InMemoryBatches, in_order
from dstbench.data.preprocessing import Fitted, FittedImageNetPipeline
from dstbench.data.protocols import PROTOCOLS
from dstbench.data.splits import split
from dstbench.data.streaming import StreamingBatches, streamed_in_order
from dstbench.errors import UserError
from dstbench.training.runtime_options import RuntimeOptions
from dstbench.training.settings import Run

HEALTH_IMAGES = 512  # fixed batch of training images that health is measured on
EVALUATION_BATCH = 512  # images; the size of no consequence but memory and speed

LabelledBatches = Iterator[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Way:
    """One way for images to reach a device.

    batches: (images, pipeline, batch_size, seed, device, indices, shard) → augmented batches.
    plain: (images, pipeline, batch_size, device) → the images in order, not augmented.
    """

    batches: Callable[..., BatchStream]
    plain: Callable[..., LabelledBatches]


WAYS: dict[type, Way] = {
    Fitted: Way(InMemoryBatches, in_order),
    FittedImageNetPipeline: Way(StreamingBatches, streamed_in_order),
}


class DataLoaders:
    """A run's images, of which each process has its share.

    split: see `protocol`. pipeline: fitted to the training images. image_shape: (channels, height,
    width) of the network's input. training: augmented batches, without end.

    Raises UserError where protocol or pipeline do not fit the dataset, or it has a single class.
    """

    def __init__(self, run: Run, dataset: Dataset[Any], place: RuntimeOptions):
        if len(dataset.classes) < 2:
            raise UserError(
                f"dataset {dataset.name!r} has one class, {dataset.classes[0]}: there is nothing "
                "to tell apart. Give it a second one."
            )
        self.run, self.dataset, self.device = run, dataset, place.device
        self.share = place.ranks.share
        self.split = split(
            dataset, PROTOCOLS[run.protocol].divide, run.split_seed, run.train_images
        )
        self.pipeline = run.pipeline.fitted(dataset.train, self.split.train)
        self.image_shape = self.pipeline.image_shape(dataset.train)
        self.way = WAYS[type(self.pipeline)]
        self.training = self._augmented(dataset.train, run.batch_size, self.split.train)

    def _augmented(
        self, images: Labelled, batch_size: int, indices: np.ndarray | None = None
    ) -> BatchStream:
        return self.way.batches(
            images, self.pipeline, batch_size, self.run.seed, self.device, indices, self.share
        )

    def validation(self, epoch: int) -> LabelledBatches:
        """Validation images as the protocol wants them: plain, or augmented like training ones."""
        if not self.split.val_augmented:
            return self._plain(self.split.val)
        batches = self._augmented(self.split.val, EVALUATION_BATCH)
        first = epoch * batches.plan.steps_per_epoch
        return (batches.at(first + i) for i in range(batches.plan.steps_per_epoch))

    def test(self) -> LabelledBatches:
        return self._plain(self.dataset.test)

    def _plain(self, images: Labelled) -> LabelledBatches:
        mine = images[self.share(len(images))]
        return self.way.plain(mine, self.pipeline, EVALUATION_BATCH, self.device)

    def health_batch(self) -> tuple[Tensor, Tensor]:
        """The same training images in every epoch of every run of this split, unaugmented."""
        images = self.dataset.train[self.split.train[:HEALTH_IMAGES]]
        return next(iter(self.way.plain(images, self.pipeline, HEALTH_IMAGES, self.device)))
