"""Labelled images in memory, and the fingerprint of a dataset's content. Needs numpy only."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

Shape = tuple[int, int, int]  # of one image or feature map: (channels, height, width)


@dataclass(frozen=True)
class Images:
    """Decoded images of one size with their labels.

    pixels: uint8 (n, H, W, C), C = 1 (grey) or 3 (RGB); may be a read-only memory map.
    labels: int64 (n,), indices into the dataset's `classes`.
    """

    pixels: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which: slice | np.ndarray) -> "Images":
        return Images(self.pixels[which], self.labels[which])


class Labelled(Protocol):
    """Images of any kind, decoded or encoded: labels int64 (n,), a length, and indexing."""

    @property
    def labels(self) -> np.ndarray: ...

    def __len__(self) -> int: ...

    def __getitem__(self, which: slice | np.ndarray) -> Any: ...


Kind = TypeVar("Kind", bound=Labelled)


@dataclass(frozen=True)
class Dataset(Generic[Kind]):
    """Training and test images, and the names of their classes.

    name: the dataset's id.
    train, test: the images.
    classes: class names; a label is an index into them.
    sha256: of the content; of decoded images, see `fingerprint`; of encoded ones, see the
        `find_encoded` of the format.
    notes: what was chosen, or not used, of what is in the dataset's folder.
    """

    name: str
    train: Kind
    test: Kind
    classes: tuple[str, ...]
    sha256: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A dataset found on disk, not decoded yet.

    key: changes whenever the content does.
    decode: () → (train, test, classes); raises UserError.
    sha256: the `fingerprint` of what is decoded; None if it is not known beforehand.
    notes: see `Dataset`.
    """

    key: str
    decode: Callable[[], tuple[Images, Images, tuple[str, ...]]]
    sha256: str | None = None
    notes: tuple[str, ...] = ()


def fingerprint(train: Images, test: Images, classes: tuple[str, ...]) -> str:
    """Return the sha256 (hex) of class names, shapes, labels and decoded pixels."""
    digest = hashlib.sha256(json.dumps(classes).encode())
    for images in (train, test):
        digest.update(repr(images.pixels.shape).encode())
        digest.update(np.ascontiguousarray(images.labels, dtype="<i8").data)
        digest.update(np.ascontiguousarray(images.pixels).data)
    return digest.hexdigest()
