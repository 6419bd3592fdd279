"""Batches of images that fit decoded on the device: kept there as bytes, augmented batch by batch.

Order and augmentation are functions of (seed, step): nothing needs saving to resume, and nothing
waits for the device.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from dstbench.data.augment import CropAndFlip
from dstbench.data.batch_plan import BatchPlan, Shard, epoch_generator, whole_range
from dstbench.data.images import Images
from dstbench.data.preprocessing import Fitted, Normaliser


class InMemoryBatches:
    """Augmented training batches, without end; `at` is a pure function of (seed, step).

    Every epoch is a new random order of all images, each once.

    images: the images to draw from, with at most 8 channels.
    pipeline: of `Pipeline.fitted`.
    batch_size: images of every batch but an epoch's last, which has the remaining ones.
    seed: of order and augmentation.
    device: where images are kept and batches are made; for the memory see `CropAndFlip`.
    indices: int64 (n,), indices of the images to use; None for all.
    shard: see `BatchPlan`.
    """

    def __init__(
        self,
        images: Images,
        pipeline: Fitted,
        batch_size: int,
        seed: int,
        device: torch.device | str,
        indices: np.ndarray | None = None,
        shard: Shard = whole_range,
    ):
        indices = np.arange(len(images)) if indices is None else indices
        self.plan = BatchPlan(len(indices), batch_size, shard)
        self.seed, self.device = seed, torch.device(device)
        self.labels = torch.from_numpy(images.labels[indices]).to(self.device)
        self._crop = CropAndFlip(images, indices, pipeline, self.device)
        width, pixel_bytes = images.pixels.shape[2], self._crop.pixel_bytes
        self._normalise = Normaliser(pipeline, width, pixel_bytes, self.device)
        self._drawn: tuple[int, Tensor] | None = None

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Return this process's shard of the batch that optimizer step `step` (from 0) trains on.

        Returns float32 (B, C, H, W) in channels_last, normalised, and int64 (B,) labels, both new
        tensors on the device. Does not wait for the device.
        """
        epoch, here = self.plan.of(step)
        order, corners, mirrored = self._draw(epoch)[:, here]
        return self._normalise(self._crop(corners, mirrored)), self.labels.index_select(0, order)

    def _draw(self, epoch: int) -> Tensor:
        """Return the order of an epoch's images, and the crop and flip of each.

        int64 (3, n) on the device: index, first word of the crop, mirrored or not. Drawn on the
        CPU, so that it is the same for every device.
        """
        if self._drawn is None or self._drawn[0] != epoch:
            rng = epoch_generator(self.seed, epoch)
            order = torch.randperm(self.plan.count, generator=rng)
            drawn = torch.stack([order, *self._crop.draw(order, rng)])
            self._drawn = epoch, drawn.to(self.device, non_blocking=True)
        return self._drawn[1]


def in_order(
    images: Images, pipeline: Fitted, batch_size: int, device: torch.device | str
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the images in order, unaugmented, normalised as in training.

    images: the images to read, in order.
    pipeline: that of the training batches.
    batch_size: images of every batch but the last.
    device: where the tensors are; shapes and types as from `InMemoryBatches.at`.
    """
    _, _, width, channels = images.pixels.shape
    normalise = Normaliser(pipeline, width, channels, torch.device(device))
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        x = torch.from_numpy(np.array(part.pixels)).to(device)  # a copy: memory maps are read-only
        yield normalise(x.flatten(2)), torch.from_numpy(np.array(part.labels)).to(device)
