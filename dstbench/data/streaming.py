"""Batches of images that do not fit in memory decoded, such as ImageNet's.

Worker processes read, decode and crop whole batches ahead of the step that needs them; bytes go to
the device and are normalised there. As in `in_memory`, order and augmentation are functions of
(seed, step): nothing needs saving to resume, and the number of workers changes nothing.
"""

import atexit
import itertools
import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor
from torch.utils import data as loading

from dstbench.data.augment import centre_crop, random_resized_crop
from dstbench.data.batch_plan import BatchPlan, Shard, epoch_generator, whole_range
from dstbench.data.preprocessing import FittedImageNetPipeline, Normaliser
from dstbench.data.sources.decode import decode_rgb
from dstbench.data.sources.encoded import EncodedImages
from dstbench.errors import UserError
from dstbench.utils.cores import cores
from dstbench.utils.torchrun import torchrun_number

AHEAD = 2  # batches a worker prepares before they are needed


class StreamingBatches:
    """Randomly cropped training batches, without end; `at` is a pure function of (seed, step).

    Every epoch is a new random order of all images, each once. Ask for steps in order: a jump
    discards the batches that the workers have prepared.

    images: the images to draw from.
    pipeline: of `ImageNetPipeline.fitted`.
    batch_size: images of every batch but an epoch's last, which has the remaining ones.
    seed: of order and augmentation.
    device: where the batches are.
    indices: int64 (n,), indices of the images to use; None for all.
    shard: see `BatchPlan`; images of other processes are not decoded here.
    """

    def __init__(
        self,
        images: EncodedImages,
        pipeline: FittedImageNetPipeline,
        batch_size: int,
        seed: int,
        device: torch.device | str,
        indices: np.ndarray | None = None,
        shard: Shard = whole_range,
    ):
        self.images = images if indices is None else images[indices]
        self.plan = BatchPlan(len(self.images), batch_size, shard)
        self.device = torch.device(device)
        self._crops = _Crops(self.images, pipeline, seed, self.plan)
        self._normalise = Normaliser(pipeline, pipeline.size, 3, self.device)
        self._prepared: Iterator[tuple[Tensor, Tensor]] = iter(())
        self._next = -1  # the step that the workers deliver next

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """Return this process's shard of the batch that optimizer step `step` (from 0) trains on.

        Returns float32 (B, 3, size, size) in channels_last, normalised, and int64 (B,) labels, both
        on the device.

        Raises UserError: when an image cannot be decoded; the message names it.
        """
        if step != self._next:
            workers = decoding_workers()
            endless = _delivered(self._crops, itertools.count(step), workers, self.device)
            _endless.add(endless)
            self._prepared = endless
        self._next = step + 1
        pixels, labels = next(self._prepared)
        return self._normalise(pixels.flatten(2)), labels


def streamed_in_order(
    images: EncodedImages,
    pipeline: FittedImageNetPipeline,
    batch_size: int,
    device: torch.device | str,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the centres of the images in order, normalised as in training.

    images: the images to read, in order.
    pipeline: that of the training batches.
    batch_size: images of every batch but the last.
    device: where the tensors are; shapes and types as from `StreamingBatches.at`.
    """
    device = torch.device(device)
    normalise = Normaliser(pipeline, pipeline.size, 3, device)
    starts = range(0, len(images), batch_size)
    workers = decoding_workers() if len(starts) > 1 else 0
    centres = _Centres(images, pipeline, batch_size)
    for pixels, labels in _delivered(centres, starts, workers, device):
        yield normalise(pixels.flatten(2)), labels


def decoding_workers() -> int:
    """Return one for every core of this process, divided among the processes of torchrun."""
    return max(1, cores() // max(1, torchrun_number("LOCAL_WORLD_SIZE", 1)))


# --- in the workers ---------------------------------------------------------------------------


class _Crops(loading.Dataset):
    """Step → its batch: uint8 (B, size, size, 3), int64 (B,); or the message of a UserError."""

    def __init__(
        self,
        images: EncodedImages,
        pipeline: FittedImageNetPipeline,
        seed: int,
        plan: BatchPlan,
    ):
        self.images, self.pipeline, self.seed, self.plan = images, pipeline, seed, plan
        self._drawn: tuple[int, Tensor] | None = None

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor] | str:
        epoch, here = self.plan.of(step)
        order, seeds = self._draw(epoch)[:, here].tolist()
        crop = random_resized_crop(self.pipeline.size, self.pipeline.flip)

        def picture(i: int) -> Any:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(seeds[i])
                return crop(decode_rgb(self.images.locations.at(order[i])))

        return _stacked(picture, self.images.labels[order], self.pipeline.size)

    def _draw(self, epoch: int) -> Tensor:
        """Return int64 (2, n): the order of an epoch's images, and the seed of each one's crop."""
        if self._drawn is None or self._drawn[0] != epoch:
            rng, count = epoch_generator(self.seed, epoch), self.plan.count
            order = torch.randperm(count, generator=rng)
            seeds = torch.randint(2**62, (count,), generator=rng)
            self._drawn = epoch, torch.stack([order, seeds])
        return self._drawn[1]


class _Centres(loading.Dataset):
    """Index of the first image → the batch from there: the centre of every image."""

    def __init__(self, images: EncodedImages, pipeline: FittedImageNetPipeline, batch_size: int):
        self.images, self.pipeline, self.batch_size = images, pipeline, batch_size

    def __getitem__(self, start: int) -> tuple[Tensor, Tensor] | str:
        part = self.images[start : start + self.batch_size]
        centre = centre_crop(self.pipeline.resize, self.pipeline.size)
        return _stacked(
            lambda i: centre(decode_rgb(part.locations.at(i))), part.labels, self.pipeline.size
        )


def _stacked(
    picture: Callable[[int], Any], labels: np.ndarray, size: int
) -> tuple[Tensor, Tensor] | str:
    """Return one batch of the pictures 0 … len(labels) − 1, or the message of a UserError."""
    pixels = np.empty((len(labels), size, size, 3), dtype=np.uint8)
    try:
        for i in range(len(labels)):
            pixels[i] = picture(i)
    except UserError as error:  # an exception would arrive wrapped in a traceback
        return error.message
    return torch.from_numpy(pixels), torch.from_numpy(np.array(labels))


# --- between workers and the device -----------------------------------------------------------


Delivery = Generator[tuple[Tensor, Tensor], None, None]

_endless: WeakSet[Delivery] = WeakSet()  # their workers wait for more steps


@atexit.register
def _stop_workers() -> None:
    """Close endless deliveries: else exit waits for their workers, which ignore its SIGTERM."""
    for delivery in list(_endless):
        delivery.close()


def _delivered(work: Any, order: Iterable[int], workers: int, device: torch.device) -> Delivery:
    """Yield work[i] for each i of `order`, on the device. Raises UserError for a message."""
    on_gpu = device.type == "cuda"
    loader = loading.DataLoader(
        work,
        batch_size=None,
        sampler=order,
        num_workers=workers,
        collate_fn=_unchanged,
        prefetch_factor=AHEAD if workers else None,
        pin_memory=on_gpu,
        worker_init_fn=_follow_parent,
    )
    for made in loader:
        if isinstance(made, str):
            raise UserError(made)
        pixels, labels = made
        yield pixels.to(device, non_blocking=True), labels.to(device, non_blocking=True)


def _unchanged(made: Any) -> Any:
    return made


def _follow_parent(worker: int) -> None:
    """Ignore SIGINT and SIGTERM, which the training process handles; die when it dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    torch.multiprocessing._prctl_pr_set_pdeathsig(signal.SIGKILL)  # type: ignore[attr-defined]
