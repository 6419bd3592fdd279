"""The cache of decoded datasets: files written once, atomically, and opened as memory maps.

One file a dataset, named by the key of its source's content:

    a line naming the format
    a line of JSON: shapes, class names, sha256 of the content
    padding to a multiple of 64 bytes, train labels, test labels, train pixels, test pixels

Opening a file recomputes the sha256, about 0.1 s for 60,000 images of 32×32, so a truncated or
damaged file is noticed, and decoded again. So is a file whose sha256 is not the one that its source
is known to have.
"""

import hashlib
import json
import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dstbench.data.images import Dataset, Images, Source, fingerprint
from dstbench.utils.files import atomic_file, remove_old_leftovers
from dstbench.utils.json_text import parse_json

log = logging.getLogger("dstbench")

MAGIC = b"dstbench images 1\n"
ALIGNMENT = 64


def load_or_build(source: Source, name: str, folder: Path) -> Dataset:
    """Return the dataset of `source` from the cache; decode and cache it first if it is missing.

    If the cache cannot be written, a warning is logged and the images stay in memory. Processes
    that decode at the same time do the same work and write the same file.

    source: the dataset, not decoded yet.
    name: the dataset's id.
    folder: of the cache.

    Raises UserError: when the dataset cannot be decoded.
    """
    path = _path(source, name, folder)
    if path.exists():
        try:
            return replace(read(path, name, source.sha256), notes=source.notes)
        except (ValueError, OSError) as error:
            log.warning("%s is damaged (%s): decoding again.", path, error)
    train, test, classes = source.decode()
    sha256 = fingerprint(train, test, classes)
    dataset = Dataset(name, train, test, classes, sha256, source.notes)
    try:
        write(path, dataset)
        return replace(read(path, name, source.sha256), notes=source.notes)
    except (ValueError, OSError) as error:
        log.warning(
            "%s could not be cached, so each run decodes it again (%s). Choose another folder with "
            "DSTBENCH_CACHE.",
            name,
            error,
        )
        return dataset


def has(source: Source, name: str, folder: Path) -> bool:
    """Return whether the cache has the dataset of `source`, by its file's header alone.

    Arguments as in `load_or_build`.
    """
    try:
        with _path(source, name, folder).open("rb") as file:
            _, _, sha256, _ = _read_header(file)
    except (ValueError, OSError):
        return False
    return source.sha256 in (None, sha256)


def _path(source: Source, name: str, folder: Path) -> Path:
    """Return the file of a source; arguments as in `load_or_build`."""
    key = hashlib.sha256(MAGIC + source.key.encode()).hexdigest()
    return folder / f"{name}-{key[:16]}.images"


def write(path: Path, dataset: Dataset) -> None:
    """Write the file atomically. Raises OSError: when it cannot be written."""
    splits = (dataset.train, dataset.test)
    header = {
        "train": dataset.train.pixels.shape,
        "test": dataset.test.pixels.shape,
        "classes": dataset.classes,
        "sha256": dataset.sha256,
    }
    head = MAGIC + json.dumps(header).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    parts: list[bytes | memoryview] = [head.ljust(_aligned(len(head)), b"\0")]
    parts += [np.ascontiguousarray(images.labels, dtype="<i8").data for images in splits]
    parts += [np.ascontiguousarray(images.pixels).data for images in splits]
    remove_old_leftovers(path.parent, "*.images")
    with atomic_file(path) as file:
        for part in parts:
            file.write(part)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def read(path: Path, name: str, expected: str | None = None) -> Dataset:
    """Return the dataset in the file.

    expected: the sha256 of the content; None accepts any.

    Raises ValueError: when the file is damaged or of other content, with the reason.
    """
    with path.open("rb") as file:
        shapes, classes, sha256, start = _read_header(file)
    if expected not in (None, sha256):
        raise ValueError(f"it has images of sha256 {sha256} instead of {expected}")
    labels = [shape[0] for shape in shapes]
    size = start + 8 * sum(labels) + sum(math.prod(shape) for shape in shapes)
    if path.stat().st_size != size:
        raise ValueError(f"it has {path.stat().st_size:,} bytes instead of {size:,}")
    content = np.memmap(path, dtype=np.uint8, mode="r", offset=start)
    cuts = np.cumsum([8 * n for n in labels] + [math.prod(shape) for shape in shapes])
    train_y, test_y, train_x, test_x = np.split(content, cuts[:-1])
    train = Images(train_x.reshape(shapes[0]), np.array(train_y.view("<i8"), dtype=np.int64))
    test = Images(test_x.reshape(shapes[1]), np.array(test_y.view("<i8"), dtype=np.int64))
    if fingerprint(train, test, classes) != sha256:
        raise ValueError("its checksum does not match")
    return Dataset(name, train, test, classes, sha256)


def _read_header(file: BinaryIO) -> tuple[list[tuple[int, ...]], tuple[str, ...], str, int]:
    """Return the shapes of training and test pixels, class names, sha256, and length in bytes.

    Raises ValueError: when the file does not start with such a header.
    """
    if file.readline() != MAGIC:
        raise ValueError("its first line is not that of a cache file")
    line = file.readline()
    try:
        header = parse_json(line)
        shapes = [tuple(map(int, header[part])) for part in ("train", "test")]
        return shapes, tuple(header["classes"]), header["sha256"], _aligned(len(MAGIC) + len(line))
    except (ValueError, KeyError, TypeError):
        raise ValueError("its header cannot be read") from None
