"""The stream of training batches: images on the device as bytes, augmented there batch by batch.

An image's channels are packed into one machine word and its border is padded once. A random crop is
then a window into the padded image, so that one gather a batch crops every image, whole pixels at a
time; a second gather mirrors the chosen ones. Order and augmentation are functions of (seed, step):
nothing needs saving to resume, and nothing waits for the device.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from dstbench.data.batch_plan import BatchPlan, Share, generator, whole
from dstbench.data.images import Images
from dstbench.data.preprocessing import Fitted, Normaliser, Pipeline
from dstbench.errors import UserError

__all__ = ["InMemoryBatches", "Pipeline", "generator", "plain"]

WORDS = {1: torch.uint8, 4: torch.int32, 8: torch.int64}  # bytes, one a channel → word
CHUNK = 1024  # images packed at a time


class InMemoryBatches:
    """Augmented training batches, without end; `at` is a pure function of (seed, step).

    images: what to draw from, with at most 8 channels. pipeline: of `Pipeline.fitted`.
    batch_size: of every batch but an epoch's last, which holds what is left.
    indices: int64 positions of the images to use, None for all. share: see `BatchPlan`.

    Every epoch is a new random order of all images, each once. Device memory: (H+2·pad)·(W+2·pad)
    words an image, a word being 1, 4 or 8 bytes for 1, up to 4, up to 8 channels.
    """

    def __init__(
        self,
        images: Images,
        pipeline: Fitted,
        batch_size: int,
        seed: int,
        device: torch.device | str,
        indices: np.ndarray | None = None,
        share: Share = whole,
    ):
        indices = np.arange(len(images)) if indices is None else indices
        self.portions = BatchPlan(len(indices), batch_size, share)
        self.pipeline, self.seed, self.count = pipeline, seed, len(indices)
        self.device = torch.device(device)
        self.labels = torch.from_numpy(images.labels[indices]).to(self.device)
        _, height, width, self.channels = images.pixels.shape
        padded = _pack(images, indices, pipeline, self.device)
        _, rows, row = padded.shape
        self._image_words, self._row_words = rows * row, row
        # window k is (height, width) with its corner at word k; windows overlap in one memory
        corners = padded.numel() - (height - 1) * row - (width - 1)
        self._windows = padded.as_strided((corners, height, width), (1, row, 1))
        columns = torch.arange(width, device=self.device)
        self._columns = torch.stack([columns, columns.flip(0)])  # as they are, mirrored
        self._normalise = Normaliser(pipeline, width, _word_bytes(self.channels), self.device)
        self._planned: tuple[int, Tensor] | None = None

    @property
    def steps_per_epoch(self) -> int:
        return self.portions.steps_per_epoch

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """This process's share of the batch that optimizer step `step` (from 0) trains on.

        Returns float32 (B, C, H, W) in channels_last, normalised, and int64 (B,) labels, both new
        tensors on the device. Does not wait for the device.
        """
        epoch, here = self.portions.of(step)
        order, corners, mirrored = self._plan(epoch)[:, here]
        words = self._windows.index_select(0, corners)  # (B, H, W)
        if self.pipeline.flip:
            columns = self._columns.index_select(0, mirrored)
            words = words.gather(2, columns[:, None].expand(words.shape))
        return self._normalise(words.view(torch.uint8)), self.labels.index_select(0, order)

    def _plan(self, epoch: int) -> Tensor:
        """For every place in an epoch's order: image, first word of its crop, mirrored or not.

        int64 (3, n) on the device. Drawn on the CPU, so that it is the same for every device.
        """
        if self._planned is None or self._planned[0] != epoch:
            rng = generator(self.seed, epoch)
            order = torch.randperm(self.count, generator=rng)
            y, x = torch.randint(2 * self.pipeline.pad + 1, (2, self.count), generator=rng)
            mirrored = torch.randint(2, (self.count,), generator=rng)
            corners = order * self._image_words + y * self._row_words + x
            plan = torch.stack([order, corners, mirrored]).to(self.device, non_blocking=True)
            self._planned = epoch, plan
        return self._planned[1]


def plain(
    images: Images, pipeline: Fitted, batch_size: int, device: torch.device | str
) -> Iterator[tuple[Tensor, Tensor]]:
    """The images in order, unaugmented, normalised as in training; tensors as from `at`.

    pipeline: that of the training batches.
    """
    _, _, width, channels = images.pixels.shape
    normalise = Normaliser(pipeline, width, channels, torch.device(device))
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        x = torch.from_numpy(np.array(part.pixels)).to(device)  # a copy: memory maps are read-only
        yield normalise(x.flatten(2)), torch.from_numpy(np.array(part.labels)).to(device)


def _word_bytes(channels: int) -> int:
    """Bytes of the smallest word that holds a pixel."""
    for size in WORDS:
        if channels <= size:
            return size
    raise UserError(f"images have {channels} channels; at most {max(WORDS)} are supported.")


def _pack(images: Images, indices: np.ndarray, pipeline: Fitted, device: torch.device) -> Tensor:
    """The chosen images on the device, padded, a word a pixel: (n, H + 2·pad, W + 2·pad)."""
    _, height, width, channels = images.pixels.shape
    pad, size = pipeline.pad, _word_bytes(channels)
    shape = (len(indices), height + 2 * pad, width + 2 * pad)
    packed = torch.zeros(shape, dtype=WORDS[size], device=device)
    for start in range(0, len(indices), CHUNK):
        pixels = images.pixels[indices[start : start + CHUNK]]
        rows = np.zeros((*pixels.shape[:3], size), dtype=np.uint8)
        rows[..., :channels] = pixels
        here = packed[start : start + CHUNK]
        inner = here[:, pad : pad + height, pad : pad + width]
        inner.copy_(torch.from_numpy(rows).view(WORDS[size]).squeeze(3))
        if pipeline.pad_mode == "reflect":
            _reflect_(here, pad)
    return packed


def _reflect_(images: Tensor, pad: int) -> None:
    """Fill a border of `pad` by reflection, the edge itself not repeated, in place; (n, H, W)."""
    for dim in (1, 2):  # rows first; the columns' reflection then fills the corners
        last = images.size(dim) - pad
        before, after = images.narrow(dim, 0, pad), images.narrow(dim, last, pad)
        before.copy_(images.narrow(dim, pad + 1, pad).flip(dim))
        after.copy_(images.narrow(dim, last - 1 - pad, pad).flip(dim))
