"""Augmentation: random crop and flip of training images, on the device or image by image."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dstbench.data.images import Images
from dstbench.data.preprocessing import Fitted
from dstbench.errors import UserError

WORDS = {1: torch.uint8, 4: torch.int32, 8: torch.int64}  # bytes, one a channel → word
CHUNK = 1024  # images packed at a time


class CropAndFlip:
    """Random crops to the original size and left-right flips of images kept on the device.

    An image's channels are packed into one machine word and its border is padded once. A random
    crop is then a window into the padded image, so that one gather a batch crops every image, whole
    pixels at a time; a second gather mirrors the chosen ones.

    images: the images to draw from, with at most 8 channels.
    indices: int64 (n,), indices of the images to use.
    pipeline: gives padding and flip.
    device: where the images are kept. Memory: (H + 2·pad)·(W + 2·pad) words an image, a word being
        1, 4 or 8 bytes for 1, up to 4, up to 8 channels.

    Raises UserError: when the images have more than 8 channels.
    """

    def __init__(self, images: Images, indices: np.ndarray, pipeline: Fitted, device: torch.device):
        _, height, width, channels = images.pixels.shape
        self.pixel_bytes = _word_bytes(channels)
        self._pad, self._flip = pipeline.pad, pipeline.flip
        padded = _pack(images, indices, pipeline, device)
        _, rows, row = padded.shape
        self._image_words, self._row_words = rows * row, row
        # window k is (height, width) with its corner at word k; windows overlap in one memory
        corners = padded.numel() - (height - 1) * row - (width - 1)
        self._windows = padded.as_strided((corners, height, width), (1, row, 1))
        columns = torch.arange(width, device=device)
        self._columns = torch.stack([columns, columns.flip(0)])  # unchanged, mirrored

    def draw(self, order: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw crop and flip of every image in `order` (int64 (n,), indices into `indices`).

        Returns int64 (n,) first word of the crop, and int64 (n,) mirrored (1) or not (0), on the
        CPU: the draws are the same for every device.
        """
        y, x = torch.randint(2 * self._pad + 1, (2, len(order)), generator=rng)
        mirrored = torch.randint(2, (len(order),), generator=rng)
        return order * self._image_words + y * self._row_words + x, mirrored

    def __call__(self, corners: Tensor, mirrored: Tensor) -> Tensor:
        """Return the crops as uint8 (B, H, W · pixel_bytes) on the device.

        corners, mirrored: int64 (B,) of `draw`, on the device.
        """
        words = self._windows.index_select(0, corners)  # (B, H, W)
        if self._flip:
            columns = self._columns.index_select(0, mirrored)
            words = words.gather(2, columns[:, None].expand(words.shape))
        return words.view(torch.uint8)


def _word_bytes(channels: int) -> int:
    """Return the bytes of the smallest word that holds a pixel."""
    for size in WORDS:
        if channels <= size:
            return size
    raise UserError(f"images have {channels} channels; at most {max(WORDS)} are supported.")


def _pack(images: Images, indices: np.ndarray, pipeline: Fitted, device: torch.device) -> Tensor:
    """Return the chosen images, padded, one word a pixel: (n, H + 2·pad, W + 2·pad) on device."""
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
    """Fill a border of `pad` by reflection, without repeating the edge, in place; (n, H, W)."""
    for dim in (1, 2):  # rows first; the columns' reflection then fills the corners
        last = images.size(dim) - pad
        before, after = images.narrow(dim, 0, pad), images.narrow(dim, last, pad)
        before.copy_(images.narrow(dim, pad + 1, pad).flip(dim))
        after.copy_(images.narrow(dim, last - 1 - pad, pad).flip(dim))


@cache
def random_resized_crop(size: int, flip: bool) -> Callable[[Any], Any]:
    """Return image → random crop of 8 to 100 % of its area, scaled to size × size, flipped or not.

    Random numbers come from torch's default generator.
    """
    from torchvision.transforms import v2

    steps = [v2.RandomResizedCrop(size), *([v2.RandomHorizontalFlip()] if flip else [])]
    return v2.Compose(steps)


@cache
def centre_crop(resize: int, size: int) -> Callable[[Any], Any]:
    """Return image → its centre, size × size, after scaling the shorter side to `resize`."""
    from torchvision.transforms import v2

    return v2.Compose([v2.Resize(resize), v2.CenterCrop(size)])
