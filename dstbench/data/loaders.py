"""Training, validation and test loaders of a run.

Decoded images are kept on the device and augmented there; others are decoded when they are needed.
The pipeline decides which.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dstbench.data.batch_plan import BatchStream, Shard, init_batches, whole_range
from dstbench.data.images import Dataset, Labelled
from dstbench.data.in_memory import InMemoryBatches, in_order
from dstbench.data.preprocessing import Pipeline
from dstbench.data.protocols import Protocol
from dstbench.data.splits import split
from dstbench.data.streaming import StreamingBatches, streamed_in_order
from dstbench.errors import UserError

HEALTH_IMAGES = 512  # fixed batch of training images on which health is measured
EVALUATION_BATCH = 512  # images; changes memory and speed only

LabelledBatches = Iterator[tuple[Tensor, Tensor]]


class DataLoaders:
    """The loaders of a run: each process loads its shard of every batch.

    dataset: images and labels.
    pipeline: how images are augmented and normalised.
    protocol: which images train and which validate.
    batch_size: training images of a step, of all processes together.
    seed: of order and augmentation.
    split_seed: of the split.
    train_images: use only so many training images; None for all.
    device: where batches go.
    shard: number of images → the slice of this process.

    Attributes:
    split: the protocol's split of the dataset.
    pipeline: fitted to the training images.
    image_shape: (channels, height, width) of the network's input.
    training: augmented batches, without end.

    Raises UserError when protocol or pipeline do not fit the dataset, or it has a single class.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        pipeline: Pipeline,
        protocol: Protocol,
        *,
        batch_size: int,
        seed: int,
        split_seed: int = 0,
        train_images: int | None = None,
        device: torch.device,
        shard: Shard = whole_range,
    ):
        if len(dataset.classes) < 2:
            raise UserError(
                f"dataset {dataset.name!r} has one class, {dataset.classes[0]}: there is nothing "
                "to tell apart. Give it a second one."
            )
        self.dataset, self.seed, self.device, self.shard = dataset, seed, device, shard
        self.split = split(dataset, protocol.divide, split_seed, train_images)
        self.decoded = pipeline.decoded
        self.pipeline = pipeline.fitted(dataset.train, self.split.train)
        self.image_shape = self.pipeline.image_shape(dataset.train)
        self.batch_size = batch_size
        self.training = self._augmented(dataset.train, batch_size, self.split.train)

    def validation(self, epoch: int) -> LabelledBatches:
        """Return this process's validation images, plain or, if the protocol asks, augmented."""
        if not self.split.val_augmented:
            return self._plain(self.split.val[self.shard(len(self.split.val))])
        batches = self._augmented(self.split.val, EVALUATION_BATCH)
        first = epoch * batches.plan.steps_per_epoch
        return (batches.at(first + i) for i in range(batches.plan.steps_per_epoch))

    def test(self) -> LabelledBatches:
        """Return this process's test images, plain."""
        return self._plain(self.dataset.test[self.shard(len(self.dataset.test))])

    def init_batches(self) -> LabelledBatches:
        """Yield whole augmented training batches for the choice of the first masks.

        They are the same in every process, and unrelated to the batches that train.
        """
        kind: Any = InMemoryBatches if self.decoded else StreamingBatches

        def make(seed: int) -> BatchStream:
            images, indices = self.dataset.train, self.split.train
            return kind(images, self.pipeline, self.batch_size, seed, self.device, indices)

        return init_batches(make, self.seed)

    def health_batch(self) -> tuple[Tensor, Tensor]:
        """Return the same plain training images in every epoch of every run of this split."""
        return next(self._plain(self.dataset.train[self.split.train[:HEALTH_IMAGES]]))

    def _augmented(
        self, images: Labelled, batch_size: int, indices: np.ndarray | None = None
    ) -> BatchStream:
        batches: Any = InMemoryBatches if self.decoded else StreamingBatches
        return batches(
            images, self.pipeline, batch_size, self.seed, self.device, indices, self.shard
        )

    def _plain(self, images: Any) -> LabelledBatches:
        """Return images in order, not augmented."""
        batches: Any = in_order if self.decoded else streamed_in_order
        return batches(images, self.pipeline, EVALUATION_BATCH, self.device)
