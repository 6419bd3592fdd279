"""Labelled images as they lie on disk, encoded: read one by one, when they are asked for.

For datasets too large to be decoded once and kept. An image is a file of a folder, or a span of one
large file.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from dstbench.data.sources.decode import Encoded
from dstbench.errors import UserError


class Places(Protocol):
    """Where images lie: as many as there are, by position."""

    def __getitem__(self, which: slice | np.ndarray) -> "Places": ...

    def at(self, i: int) -> Encoded: ...


@dataclass(frozen=True)
class Files:
    """Images as files. names: bytes (n,), paths below `root`, in one array to be light to share."""

    root: Path
    names: np.ndarray

    def __getitem__(self, which: slice | np.ndarray) -> "Files":
        return Files(self.root, self.names[which])

    def at(self, i: int) -> Encoded:
        path = self.root / self.names[i].decode()
        return Encoded(path, str(path))


@dataclass(frozen=True)
class Spans:
    """Images as spans of the file `path`. starts, sizes: int64 (n,), in bytes."""

    path: Path
    starts: np.ndarray
    sizes: np.ndarray

    def __getitem__(self, which: slice | np.ndarray) -> "Spans":
        return Spans(self.path, self.starts[which], self.sizes[which])

    def at(self, i: int) -> Encoded:
        start = int(self.starts[i])
        with self.path.open("rb") as file:
            file.seek(start)
            content = file.read(int(self.sizes[i]))
        return Encoded(content, f"{self.path}, at byte {start}")


@dataclass(frozen=True)
class EncodedImages:
    """Encoded images of any size with their labels.

    places: where they lie. labels: int64 (n,), positions in the dataset's `classes`.
    """

    places: Places
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which: slice | np.ndarray) -> "EncodedImages":
        return EncodedImages(self.places[which], self.labels[which])


@dataclass(frozen=True)
class EncodedSource:
    """A dataset found on disk, nothing decoded.

    sha256: see the layout that found it. images: folder of the cache → (train, test).
    """

    classes: tuple[str, ...]
    sha256: str
    images: Callable[[Path], tuple[EncodedImages, EncodedImages]]


def pack(path: Path, contents: Iterable[bytes]) -> Spans:
    """The encoded images one after the other in the file `path`, written now if it is not there.

    After the images come their sizes (int64, little endian), and the number of them. Whole or not
    there, whatever happens. Raises UserError where it cannot be written.
    """
    if not path.exists():
        _write_pack(path, contents)
    with path.open("rb") as file:
        end = file.seek(-8, os.SEEK_END)
        count = int.from_bytes(file.read(8), "little")
        file.seek(end - 8 * count)
        sizes = np.frombuffer(file.read(8 * count), dtype="<i8").astype(np.int64)
    return Spans(path, np.cumsum(sizes) - sizes, sizes)


def _write_pack(path: Path, contents: Iterable[bytes]) -> None:
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
            f"{path}: cannot be written ({error.strerror}). It takes as much room as the dataset; "
            "choose another folder with --cache or DSTBENCH_CACHE."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
