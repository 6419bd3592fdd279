"""Encoded images on disk, each read when it is needed.

For datasets too large to be kept decoded. An image is a file of a folder, or a span of bytes in one
packed file.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from dstbench.data.sources.decode import EncodedImage
from dstbench.errors import UserError


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
    """

    path: Path
    starts: np.ndarray
    sizes: np.ndarray

    def __getitem__(self, which: slice | np.ndarray) -> "PackedFile":
        return PackedFile(self.path, self.starts[which], self.sizes[which])

    def at(self, i: int) -> EncodedImage:
        start = int(self.starts[i])
        with self.path.open("rb") as file:
            file.seek(start)
            content = file.read(int(self.sizes[i]))
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


def packed_file(path: Path, contents: Iterable[bytes]) -> PackedFile:
    """Return the packed file `path`; write it from `contents`, atomically, if it does not exist.

    After the images, the file has their sizes (int64, little endian) and their number.

    path: the file.
    contents: the encoded images, in order.

    Raises UserError: when it cannot be written.
    """
    if not path.exists():
        _write_packed_file(path, contents)
    with path.open("rb") as file:
        end = file.seek(-8, os.SEEK_END)
        count = int.from_bytes(file.read(8), "little")
        file.seek(end - 8 * count)
        sizes = np.frombuffer(file.read(8 * count), dtype="<i8").astype(np.int64)
    return PackedFile(path, np.cumsum(sizes) - sizes, sizes)


def _write_packed_file(path: Path, contents: Iterable[bytes]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sizes = []
        with temporary.open("wb") as file:
            for content in contents:
                file.write(content)
                sizes.append(len(content))
            file.write(np.array(sizes, dtype="<i8").tobytes())
            file.write(len(sizes).to_bytes(8, "little"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}). It takes as much space as the dataset; "
            "choose another folder with --cache or DSTBENCH_CACHE."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
