"""Decoding of images with Pillow into one uint8 array, in threads where they help."""

import io
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dstbench.data.images import Images
from dstbench.errors import UserError
from dstbench.utils.cores import cores

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

CHUNK = 256  # images a thread takes at a time
SMALL = 64 * 64  # pixels: up to here threads mostly wait for the interpreter lock
GREY_MODES = ("1", "L", "LA")
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM", "TIFF")  # Pillow opens no other: fewer decoders
DEEP_MODES = ("I", "F")  # and their variants such as I;16: more than 8 bits a channel


@dataclass(frozen=True)
class EncodedImage:
    """One encoded image.

    content: the path of its file, or its bytes.
    where: names the image in messages.
    """

    content: Path | bytes
    where: str


EncodedSplit = tuple[list[EncodedImage], np.ndarray]  # images, and their int64 labels (n,)


class _NeedsColour(Exception):
    """An image is RGB although the first one is grey."""


def decode_splits(
    train: EncodedSplit, test: EncodedSplit, size: int | None = None
) -> tuple[Images, Images]:
    """Return training and test images, decoded together: one size, one number of channels.

    size: see `decode`.
    """
    pixels, cut = decode(train[0] + test[0], size), len(train[0])
    return Images(pixels[:cut], train[1]), Images(pixels[cut:], test[1])


def decode(images: Sequence[EncodedImage], size: int | None = None) -> np.ndarray:
    """Return uint8 (n, H, W, C): C = 1 if all images are grey, else 3 (grey ones repeated).

    Transparency is dropped, palettes are resolved; of several frames, the first is used.

    size: scale the largest centred square of every image to size × size pixels; None keeps images
        as they are.

    Raises UserError: when an image cannot be decoded, has more than 8 bits a channel, or differs
        from the first in size; the message names it. When the images do not fit in memory.
    """
    first = _pixels(images[0], size)
    try:
        return _decode_into(first.shape, images, size)
    except _NeedsColour:
        return _decode_into((*first.shape[:2], 3), images, size)
    except MemoryError:
        gigabytes = len(images) * first.size / 1e9
        raise UserError(
            f"{len(images):,} images of {first.shape[1]}×{first.shape[0]} pixels do not fit in "
            f"memory, decoded ({gigabytes:.1f} GB or more). Scale them to a smaller size, or "
            "decode them when they are needed: --set 'Run.pipeline=@ImageNetPipeline()'."
        ) from None


def _decode_into(
    shape: tuple[int, ...], images: Sequence[EncodedImage], size: int | None
) -> np.ndarray:
    pixels = np.empty((len(images), *shape), dtype=np.uint8)

    def fill(chunk: range) -> int:
        for i in chunk:
            image = _pixels(images[i], size)
            if image.shape[:2] != shape[:2]:
                (h, w), (h0, w0) = image.shape[:2], shape[:2]
                raise UserError(
                    f"{images[i].where} is {w}×{h} pixels (width × height), but "
                    f"{images[0].where} is {w0}×{h0}. The recipe "
                    "takes images of one size. --recipe images scales images of any size."
                )
            if image.shape[2] > shape[2]:
                raise _NeedsColour
            pixels[i] = image
        return len(chunk)

    chunks = [range(i, min(i + CHUNK, len(images))) for i in range(0, len(images), CHUNK)]
    large = size is not None or shape[0] * shape[1] > SMALL
    for _ in _with_progress_bar(_map_chunks(fill, chunks, large), len(images)):
        pass
    return pixels


def _map_chunks(fill: Callable[[range], int], chunks: list[range], large: bool) -> Iterator[int]:
    """Call `fill` on every chunk, in threads if the images are large; yield its results."""
    if not large:
        yield from map(fill, chunks)
        return
    pool = ThreadPoolExecutor(cores())
    try:
        yield from pool.map(fill, chunks)
    finally:
        pool.shutdown(cancel_futures=True)  # after an error, do not decode the rest


def _with_progress_bar(done: Iterable[int], total: int) -> Iterator[int]:
    """Yield from `done`; show a bar on the terminal if it takes more than a second."""
    from rich.console import Console
    from rich.progress import Progress

    begun, finished = time.monotonic(), 0
    bar: Progress | None = None
    try:
        for count in done:
            finished += count
            if bar is None and time.monotonic() - begun > 1 and sys.stderr.isatty():
                bar = Progress(console=Console(stderr=True), transient=True)
                task = bar.add_task("decoding images (once)", total=total)
                bar.start()
            if bar is not None:
                bar.update(task, completed=finished)
            yield count
    finally:
        if bar is not None:
            bar.stop()


def _pixels(image: EncodedImage, size: int | None) -> np.ndarray:
    """Return one image as uint8 (H, W, 1 or 3), scaled as in `decode`."""
    from PIL import Image, ImageOps

    picture = _picture(image, lambda mode: "L" if mode in GREY_MODES else "RGB")
    if size is not None and picture.size != (size, size):
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(picture)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def decode_rgb(image: EncodedImage) -> "Picture":
    """Return one image, of any size and mode, in RGB. Raises UserError: as `decode`."""
    return _picture(image, lambda mode: "RGB")


def _is_deep_png(content: bytes) -> bool:
    """Return whether a file is a PNG of 16 bits a channel; Pillow opens those of colours as 8."""
    return content.startswith(b"\x89PNG") and content[24:25] == b"\x10"


def _picture(image: EncodedImage, mode_for: Callable[[str], str]) -> "Picture":
    """Return the decoded image, converted to mode_for(its mode)."""
    from PIL import Image

    try:
        content = image.content if isinstance(image.content, bytes) else image.content.read_bytes()
    except OSError as error:
        raise UserError(f"{image.where} cannot be read ({error.strerror}).") from None
    if not content:
        raise UserError(f"{image.where} is empty (0 bytes). Copy or download it again.")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            if opened.mode.startswith(DEEP_MODES) or _is_deep_png(content):
                raise UserError(
                    f"{image.where} has more than 8 bits a channel. Convert the images to 8 bits "
                    "first."
                )
            wanted = mode_for(opened.mode)
            opened.load()
            return opened if opened.mode == wanted else opened.convert(wanted)
    except UserError:
        raise
    except Exception as error:  # each of Pillow's formats raises its own exceptions
        unknown = "cannot identify" in str(error)
        reason = f"not an image of the formats {', '.join(FORMATS)}" if unknown else error
        remedy = lfs_remedy(content) or "It is corrupt or half downloaded; replace it."
        raise UserError(
            f"{image.where} cannot be decoded: {reason} ({len(content):,} bytes). {remedy}"
        ) from None


def lfs_remedy(content: bytes) -> str | None:
    """Return the remedy for a file that is a pointer of Git LFS; None if it is not one."""
    if content.startswith(b"version https://git-lfs"):
        return "It is a pointer of Git LFS, not the file: run `git lfs pull`."
    return None
