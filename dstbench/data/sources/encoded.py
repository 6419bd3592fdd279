"""Encoded images on disk, each read when it is needed.

For datasets too large to be kept decoded. An image is a file of a folder, or a span of bytes in one
packed file.
"""

import logging
import os
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from dstbench.data.sources.decode import EncodedImage
from dstbench.errors import UserError
from dstbench.utils.files import atomic_file, remove_old_leftovers

log = logging.getLogger("dstbench")

_END = b"dstbench packed 2\n"  # the last bytes of a packed file


class ImageLocations(Protocol):
    """Where the images of a split are stored, by index."""

    def __getitem__(self, which: slice | np.ndarray) -> "ImageLocations": ...

    def at(self, i: int) -> EncodedImage:
        """Return image i, not decoded."""


@dataclass(frozen=True)
class ImageFiles:
    """Images in one file each.

    root: the folder of the files.
    names: bytes (n,), paths below `root`; one array is cheap to send to worker processes.
    """

    root: Path
    names: np.ndarray

    def __getitem__(self, which: slice | np.ndarray) -> "ImageFiles":
        return ImageFiles(self.root, self.names[which])

    def at(self, i: int) -> EncodedImage:
        path = self.root / os.fsdecode(self.names[i])
        return EncodedImage(path, str(path))


@dataclass(frozen=True)
class PackedFile:
    """Images one after the other in one file.

    path: the file.
    starts, sizes: int64 (n,), of every image, in bytes.
    checksums: uint32 (n,), CRC-32 of every image.
    """

    path: Path
    starts: np.ndarray
    sizes: np.ndarray
    checksums: np.ndarray

    def __getitem__(self, which: slice | np.ndarray) -> "PackedFile":
        return PackedFile(self.path, self.starts[which], self.sizes[which], self.checksums[which])

    def at(self, i: int) -> EncodedImage:
        start = int(self.starts[i])
        with self.path.open("rb") as file:
            file.seek(start)
            content = file.read(int(self.sizes[i]))
        if zlib.crc32(content) != self.checksums[i]:
            raise UserError(
                f"{self.path}: the image at byte {start} is damaged. Delete this file of the "
                "cache; it is then made again from the dataset."
            )
        return EncodedImage(content, f"{self.path}, at byte {start}")


@dataclass(frozen=True)
class EncodedImages:
    """Encoded images of any size with their labels.

    locations: where they are stored.
    labels: int64 (n,), indices into the dataset's `classes`.
    """

    locations: ImageLocations
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which: slice | np.ndarray) -> "EncodedImages":
        return EncodedImages(self.locations[which], self.labels[which])


@dataclass(frozen=True)
class EncodedSource:
    """A dataset found on disk, to be read without decoding.

    classes: class names.
    sha256: of the content; see the `find_encoded` of the format.
    images: folder of the cache → (train, test).
    notes: what was chosen, or not used, of what is there.
    """

    classes: tuple[str, ...]
    sha256: str
    images: Callable[[Path], tuple[EncodedImages, EncodedImages]]
    notes: tuple[str, ...] = ()


def packed_file(path: Path, contents: Iterable[bytes], count: int) -> PackedFile:
    """Return the packed file `path`; write it from `contents`, atomically, unless it is whole.

    After the images, the file has their sizes (int64) and checksums (CRC-32), a checksum of these,
    the number of images (int64) and a mark, all little endian.

    path: the file.
    contents: the encoded images, in order.
    count: how many there are.

    Raises UserError: when it cannot be written.
    """
    if (found := _read_packed_file(path, count)) is not None:
        return found
    if path.exists():
        log.warning("%s is damaged, or of an earlier version: packing the images again.", path)
    _write_packed_file(path, contents)
    found = _read_packed_file(path, count)
    if found is None:
        raise UserError(f"{path}: does not hold what was written. Is its disk in order?")
    return found


def _read_packed_file(path: Path, count: int) -> PackedFile | None:
    """Return the packed file, None if it is missing, damaged, or has another number of images."""
    table = 12 * count
    try:
        with path.open("rb") as file:
            images = file.seek(0, os.SEEK_END) - table - len(_END) - 12
            file.seek(max(images, 0))
            tail = file.read()
    except OSError:
        return None
    numbers = tail[table:]
    if images < 0 or numbers != _numbers(tail[:table], count) + _END:
        return None
    sizes = np.frombuffer(tail[: 8 * count], "<i8").astype(np.int64)
    checksums = np.frombuffer(tail[8 * count : table], "<u4").astype(np.uint32)
    if (sizes < 0).any() or int(sizes.sum()) != images:
        return None
    return PackedFile(path, np.cumsum(sizes) - sizes, sizes, checksums)


def _numbers(table: bytes, count: int) -> bytes:
    return zlib.crc32(table).to_bytes(4, "little") + count.to_bytes(8, "little")


def _write_packed_file(path: Path, contents: Iterable[bytes]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_old_leftovers(path.parent, "*.encoded")
        sizes, checksums = [], []
        with atomic_file(path) as file:
            for content in contents:
                file.write(content)
                sizes.append(len(content))
                checksums.append(zlib.crc32(content))
            table = np.array(sizes, "<i8").tobytes() + np.array(checksums, "<u4").tobytes()
            file.write(table + _numbers(table, len(sizes)) + _END)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}). It takes as much space as the dataset; "
            "choose another folder with --cache or DSTBENCH_CACHE."
        ) from None
