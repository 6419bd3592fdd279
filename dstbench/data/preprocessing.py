"""From images to a network's input: the settings of a pipeline, channel statistics, normalisation.

The crops and flips themselves are in `augment`, the order of batches in `batch_plan`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from dstbench.config.registry import register
from dstbench.data.images import Images, Shape
from dstbench.errors import require

CHUNK = 1024  # images measured at a time; uint32 holds the sum of so many squares of a byte


@dataclass(frozen=True)
class Fitted:
    """A pipeline with all numbers known, mean and standard deviation included. See `Pipeline`."""

    pad: int
    pad_mode: Literal["reflect", "zero"]
    flip: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def image_shape(self, images: Any) -> Shape:
        """Return (channels, height, width) of a network's input."""
        _, height, width, channels = images.pixels.shape
        return channels, height, width


@dataclass(frozen=True)
class FittedImageNetPipeline(Fitted):
    """A pipeline of crops by area, without padding. See `ImageNetPipeline`.

    size: height and width of a network's input, pixels.
    resize: shorter side of an image before its centre is taken, pixels.
    """

    size: int
    resize: int

    def image_shape(self, images: Any) -> Shape:
        return 3, self.size, self.size


@register("pipelines")
class Pipeline:
    """Pad, random crop to the original size, random flip, normalise.

    pad: pixels on every side; 0 crops nothing.
    pad_mode: 'reflect' (without repeating the edge) or 'zero' (black).
    flip: mirror left-right with probability ½.
    mean, std: one number a channel, on a scale where 255 is 1; None takes those of the training
        images.
    """

    decoded: ClassVar[bool] = True  # whether it reads decoded images, all of one size
    scaled_to: int | None = None  # the size that images are scaled to when they are decoded

    def __init__(
        self,
        pad: int = 4,
        pad_mode: Literal["reflect", "zero"] = "reflect",
        flip: bool = True,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ):
        require(pad >= 0, self, "pad", pad, "zero or more pixels")
        require(pad_mode in ("reflect", "zero"), self, "pad_mode", pad_mode, "'reflect' or 'zero'")
        require(std is None or all(s > 0 for s in std), self, "std", std, "positive numbers")
        self.pad, self.pad_mode, self.flip = pad, pad_mode, flip
        self.mean, self.std = mean, std

    def fitted(self, images: Any, indices: np.ndarray | None = None) -> Fitted:
        """Return the pipeline for these images; a mean or std that is None is measured on them.

        images: the training images.
        indices: int64 (n,), indices of the images to measure; None for all.

        Raises UserError: when the settings do not fit the images.
        """
        _, height, width, channels = images.pixels.shape
        if self.pad_mode == "reflect":
            limit = min(height, width)
            allowed = f"less than {limit} to reflect images of {width}×{height} pixels"
            require(self.pad < limit, self, "pad", self.pad, allowed)
        mean, std = self.mean, self.std
        if mean is None or std is None:
            measured = moments(images, indices)
            mean = measured[0] if mean is None else mean
            std = measured[1] if std is None else std
        for name, value in (("mean", mean), ("std", std)):
            allowed = f"{channels} numbers, one a channel of the images"
            require(len(value) == channels, self, name, value, allowed)
        return Fitted(self.pad, self.pad_mode, self.flip, tuple(mean), tuple(std))


@register("pipelines")
class ResizedPipeline(Pipeline):
    """Scale images of any size to one, once; then pad, crop, flip and normalise as Pipeline does.

    size: height and width, pixels, to which the largest centred square of every image is scaled.
    pad, pad_mode, flip, mean, std: as of Pipeline.
    """

    def __init__(
        self,
        size: int = 64,
        pad: int = 4,
        pad_mode: Literal["reflect", "zero"] = "reflect",
        flip: bool = True,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ):
        require(size >= 1, self, "size", size, "at least 1 pixel")
        super().__init__(pad, pad_mode, flip, mean, std)
        self.scaled_to = size


@register("pipelines")
class ImageNetPipeline(Pipeline):
    """Crop at random area for training, at the centre for evaluation; images of any size.

    Images are decoded each time they are needed: for datasets too large to be kept decoded.
    Source: torchvision's reference training, RandomResizedCrop and CenterCrop.

    size: height and width of a network's input, pixels. A training crop covers 8 to 100 % of an
        image's area with a height between ¾ and 4⁄3 of its width, and is scaled to size × size.
    resize: the shorter side that other images are scaled to before their centre is taken, pixels.
    flip: mirror left-right with probability ½.
    mean, std: of red, green and blue, on a scale where 255 is 1.
    """

    decoded = False

    def __init__(
        self,
        size: int = 224,
        resize: int = 256,
        flip: bool = True,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
    ):
        require(size >= 1, self, "size", size, "at least 1 pixel")
        require(resize >= size, self, "resize", resize, f"at least size ({size} pixels)")
        for name, value in (("mean", mean), ("std", std)):
            require(len(value) == 3, self, name, value, "three numbers: red, green, blue")
        super().__init__(pad=0, flip=flip, mean=mean, std=std)
        self._fitted = FittedImageNetPipeline(
            0, "zero", flip, tuple(mean), tuple(std), size, resize
        )

    def fitted(self, images: Any, indices: np.ndarray | None = None) -> FittedImageNetPipeline:
        return self._fitted


def moments(
    images: Images, indices: np.ndarray | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and population standard deviation of every channel, where 255 counts as 1.

    The sums are exact integers, the rest is float64.

    images: the images to measure.
    indices: int64 (n,), indices of the images to measure; None for all.
    """
    indices = np.arange(len(images)) if indices is None else indices
    _, height, width, channels = images.pixels.shape
    sums = np.zeros((2, height * width * channels), dtype=np.int64)
    for start in range(0, len(indices), CHUNK):
        pixels = images.pixels[indices[start : start + CHUNK]]
        values = pixels.reshape(len(pixels), -1).astype(np.uint16)
        sums[0] += values.sum(0, dtype=np.uint32)
        sums[1] += np.square(values).sum(0, dtype=np.uint32)
    total, squares = sums.reshape(2, height * width, channels).sum(1).tolist()
    n = len(indices) * height * width
    mean = tuple(t / n / 255 for t in total)
    # a constant channel has standard deviation 0; dividing by 1 instead leaves it at zero
    std = tuple(
        math.sqrt(n * s - t * t) / n / 255 or 1.0 for t, s in zip(total, squares, strict=True)
    )
    return mean, std


class Normaliser:
    """Compute ((byte / 255) − mean) / std in float32, in this order, channel by channel.

    Means and deviations are repeated over a whole row, and 255 is a tensor: so each operation is
    one pass over contiguous memory, and a true division on every device (a GPU multiplies by the
    reciprocal of a Python number, and rounds differently).

    pipeline: gives mean and std.
    width: pixels of a row.
    pixel_bytes: bytes of a pixel: its channels, then unused ones.
    device: of the bytes.
    """

    def __init__(self, pipeline: Fitted, width: int, pixel_bytes: int, device: torch.device):
        self.channels, self.pixel_bytes = len(pipeline.mean), pixel_bytes
        unused = pixel_bytes - self.channels
        self.full = torch.tensor(255.0, device=device)
        self.mean = torch.tensor([*pipeline.mean, *[0.0] * unused] * width, device=device)
        self.std = torch.tensor([*pipeline.std, *[1.0] * unused] * width, device=device)

    def __call__(self, rows: Tensor) -> Tensor:
        """Return float32 (B, C, H, W) in channels_last, from uint8 (B, H, W · pixel_bytes)."""
        x = rows.to(torch.float32).div_(self.full).sub_(self.mean).div_(self.std)
        pixels = x.unflatten(2, (-1, self.pixel_bytes))
        return pixels[..., : self.channels].contiguous().permute(0, 3, 1, 2)
