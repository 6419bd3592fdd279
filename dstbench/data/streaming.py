"""The stream of training batches for images that do not fit anywhere decoded, such as ImageNet's.

Worker processes read, decode and crop whole batches ahead of the step that wants them; bytes go to
the device and are normalised there. As in `batches`, order and augmentation are functions of
(seed, step): nothing needs saving to resume, and the number of workers changes nothing.
"""

import itertools
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import data as loading

from dstbench.data.batch_plan import BatchPlan, Share, generator, whole
from dstbench.data.preprocessing import FittedImageNetPipeline, Normaliser
from dstbench.data.sources.decode import colour
from dstbench.data.sources.encoded import EncodedImages
from dstbench.errors import UserError
from dstbench.utils.processes import cores

AHEAD = 2  # batches a worker prepares before they are asked for


class StreamingBatches:
    """Randomly cropped training batches, without end; `at` is a pure function of (seed, step).

    images: what to draw from. pipeline: of `ImageNetPipeline.fitted`. batch_size: of every batch
    but an epoch's last, which holds what is left. indices: int64 positions of the images to use,
    None for all. share: see `BatchPlan`; other processes' images are not decoded here.

    Every epoch is a new random order of all images, each once. Steps are best asked for in order:
    a jump discards what the workers have prepared.
    """

    def __init__(
        self,
        images: EncodedImages,
        pipeline: FittedImageNetPipeline,
        batch_size: int,
        seed: int,
        device: torch.device | str,
        indices: np.ndarray | None = None,
        share: Share = whole,
    ):
        self.images = images if indices is None else images[indices]
        self.portions = BatchPlan(len(self.images), batch_size, share)
        self.device = torch.device(device)
        self._crops = _Crops(self.images, pipeline, seed, self.portions)
        self._normalise = Normaliser(pipeline, pipeline.size, 3, self.device)
        self._prepared: Iterator[Any] = iter(())
        self._next = -1  # the step that the workers deliver next

    @property
    def steps_per_epoch(self) -> int:
        return self.portions.steps_per_epoch

    def at(self, step: int) -> tuple[Tensor, Tensor]:
        """This process's share of the batch that optimizer step `step` (from 0) trains on.

        Returns float32 (B, 3, size, size) in channels_last, normalised, and int64 (B,) labels, both
        on the device. Raises UserError, naming the image, for one that cannot be decoded.
        """
        if step != self._next:
            workers = decoding_workers()
            self._prepared = _delivered(self._crops, itertools.count(step), workers, self.device)
        self._next = step + 1
        pixels, labels = next(self._prepared)
        return self._normalise(pixels.flatten(2)), labels


def streamed_plain(
    images: EncodedImages,
    pipeline: FittedImageNetPipeline,
    batch_size: int,
    device: torch.device | str,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The centres of the images in order, normalised as in training; tensors as of `at`."""
    device = torch.device(device)
    normalise = Normaliser(pipeline, pipeline.size, 3, device)
    starts = range(0, len(images), batch_size)
    workers = decoding_workers() if len(starts) > 1 else 0
    centres = _Centres(images, pipeline, batch_size)
    for pixels, labels in _delivered(centres, starts, workers, device):
        yield normalise(pixels.flatten(2)), labels


def decoding_workers() -> int:
    """One for every core that this process may use, shared with others that torchrun started."""
    return max(1, cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


# --- in the workers ---------------------------------------------------------------------------


class _Crops(loading.Dataset):
    """Step → its batch: uint8 (B, size, size, 3), int64 (B,); or a message, where that fails."""

    def __init__(
        self,
        images: EncodedImages,
        pipeline: FittedImageNetPipeline,
        seed: int,
        portions: BatchPlan,
    ):
        self.images, self.pipeline, self.seed, self.portions = images, pipeline, seed, portions
        self._planned: tuple[int, Tensor] | None = None

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor] | str:
        epoch, here = self.portions.of(step)
        order, seeds = self._plan(epoch)[:, here].tolist()
        crop = _crop(self.pipeline.size, self.pipeline.flip)

        def picture(i: int) -> Any:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(seeds[i])
                return crop(colour(self.images.places.at(order[i])))

        return _stacked(picture, self.images.labels[order], self.pipeline.size)

    def _plan(self, epoch: int) -> Tensor:
        """For every place in an epoch's order: image, and seed of its augmentation. (2, n)"""
        if self._planned is None or self._planned[0] != epoch:
            rng, count = generator(self.seed, epoch), self.portions.count
            order = torch.randperm(count, generator=rng)
            seeds = torch.randint(2**62, (count,), generator=rng)
            self._planned = epoch, torch.stack([order, seeds])
        return self._planned[1]


class _Centres(loading.Dataset):
    """First position → the batch from there on: the centre of every image."""

    def __init__(self, images: EncodedImages, pipeline: FittedImageNetPipeline, batch_size: int):
        self.images, self.pipeline, self.batch_size = images, pipeline, batch_size

    def __getitem__(self, start: int) -> tuple[Tensor, Tensor] | str:
        labels = self.images.labels[start : start + self.batch_size]
        centre = _centre(self.pipeline.resize, self.pipeline.size)
        return _stacked(
            lambda i: centre(colour(self.images.places.at(start + i))), labels, self.pipeline.size
        )


def _stacked(
    picture: Callable[[int], Any], labels: np.ndarray, size: int
) -> tuple[Tensor, Tensor] | str:
    pixels = np.empty((len(labels), size, size, 3), dtype=np.uint8)
    try:
        for i in range(len(labels)):
            pixels[i] = picture(i)
    except UserError as error:  # an exception would arrive wrapped in a traceback
        return error.message
    return torch.from_numpy(pixels), torch.from_numpy(np.array(labels))


@cache
def _crop(size: int, flip: bool) -> Callable[[Any], Any]:
    from torchvision.transforms import v2

    steps = [v2.RandomResizedCrop(size), *([v2.RandomHorizontalFlip()] if flip else [])]
    return v2.Compose(steps)


@cache
def _centre(resize: int, size: int) -> Callable[[Any], Any]:
    from torchvision.transforms import v2

    return v2.Compose([v2.Resize(resize), v2.CenterCrop(size)])


# --- between workers and the device -----------------------------------------------------------


def _delivered(
    work: Any, order: Iterable[int], workers: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """What the work gives for each of `order`, on the device. Raises UserError for a message."""
    on_gpu = device.type == "cuda"
    loader = loading.DataLoader(
        work, batch_size=None, sampler=order, num_workers=workers, collate_fn=_as_it_is,
        prefetch_factor=AHEAD if workers else None, pin_memory=on_gpu, worker_init_fn=_settle,
    )  # fmt: skip
    for made in loader:
        if isinstance(made, str):
            raise UserError(made)
        pixels, labels = made
        yield pixels.to(device, non_blocking=True), labels.to(device, non_blocking=True)


def _as_it_is(made: Any) -> Any:
    return made


def _settle(worker: int) -> None:
    """Leave signals to the training process, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    torch.multiprocessing._prctl_pr_set_pdeathsig(signal.SIGKILL)  # type: ignore[attr-defined]
