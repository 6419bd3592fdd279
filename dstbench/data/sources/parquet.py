"""Datasets in parquet files, as on dataset hubs.

X/train*.parquet and X/test*.parquet or X/validation*.parquet, or the same in the only subfolder of
X that has them (as plain_text/ in a cloned dataset), with an image column `img` or `image` (a
struct of bytes and path) and a label column `label` or `fine_label` (whole numbers).
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from dstbench.data.images import Images, Source
from dstbench.data.sources.decode import EncodedImage, EncodedSplit, decode_splits
from dstbench.data.sources.encoded import EncodedImages, EncodedSource, packed_file
from dstbench.data.sources.parquet_columns import (
    class_names,
    encoded_images,
    image_column,
    int_labels,
    label_column,
    read_footer,
    read_row_groups,
    read_table,
)
from dstbench.errors import UserError

TRAIN_FILES = "train*.parquet"
TEST_FILES = ("test*.parquet", "validation*.parquet")


def recognises(folder: Path) -> bool:
    """Return whether the folder looks like a dataset in parquet files."""
    return _location(folder) is not None


def find(folder: Path) -> Source:
    """Return the dataset in `folder`; its key hashes the files' content.

    Class names come from the files' metadata if it has them, else they are the labels' numbers.

    Raises UserError: when shards are missing. Decoding raises it for damaged files, missing
        columns or images, and labels out of range.
    """
    train_files, test_files = _files(folder)
    digest = hashlib.sha256()
    for path in train_files + test_files:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.name}\0{content}\n".encode())

    def decode_all() -> tuple[Images, Images, tuple[str, ...]]:
        train, names = _rows(train_files)
        test, _ = _rows(test_files)
        classes = names or _numbered_classes(train[1], partial(_where, train[0]))
        for images, labels in (train, test):
            _check_labels(labels, classes, partial(_where, images))
        return (*decode_splits(train, test), classes)

    return Source(digest.hexdigest(), decode_all)


def find_encoded(folder: Path) -> EncodedSource:
    """Return the dataset in `folder`, its images not decoded.

    The images are copied to packed files in the cache, since a single row of a parquet file cannot
    be read cheaply. The sha256 is of the files' names, sizes and footers, which describe every
    column.

    Raises UserError: as `find`, except for missing images.
    """
    digest = hashlib.sha256()
    names: tuple[str, ...] = ()
    splits: list[tuple[list[Path], np.ndarray]] = []
    for files in _files(folder):
        labels = []
        for path in files:
            digest.update(f"{path.name}\0{path.stat().st_size}\n".encode() + read_footer(path))
            column = label_column(path)
            table = read_table(path, [column])
            labels.append(int_labels(path, table[column]))
            names = names or class_names(table.schema.metadata, column)
        splits.append((files, np.concatenate(labels)))
    where = partial("{}, training row {}".format, folder)
    classes = names or _numbered_classes(splits[0][1], where)
    for which, (_, found) in zip(("training", "test"), splits, strict=True):
        _check_labels(found, classes, partial("{}, {} row {}".format, folder, which))
    key = digest.hexdigest()

    def images(cache: Path) -> tuple[EncodedImages, EncodedImages]:
        train, test = (
            EncodedImages(
                packed_file(cache / f"{folder.name}-{key[:16]}.{split}.encoded", _contents(files)),
                labels,
            )
            for split, (files, labels) in zip(("train", "test"), splits, strict=True)
        )
        return train, test

    return EncodedSource(classes, key, images)


def _where(images: list[EncodedImage], row: int) -> str:
    return images[row].where


def _location(folder: Path) -> Path | None:
    """Return the folder of the training files, None if no folder or several have them."""
    if any(folder.glob(TRAIN_FILES)):
        return folder
    inside = {path.parent for path in folder.glob(f"*/{TRAIN_FILES}")}
    visible = [subfolder for subfolder in inside if not subfolder.name.startswith(".")]
    return visible[0] if len(visible) == 1 else None


def _files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the training and test files. Raises UserError: when some are missing."""
    folder = _location(folder) or folder
    train_files = _shards(folder, TRAIN_FILES)
    test_files = next((f for pattern in TEST_FILES if (f := _shards(folder, pattern))), [])
    if not test_files:
        raise UserError(f"{folder}: has train files but no {' or '.join(TEST_FILES)}. Add them.")
    return train_files, test_files


def _contents(files: list[Path]) -> Iterator[bytes]:
    """Yield the encoded images of a split's files, one row group at a time in memory."""
    for path in files:
        for group in read_row_groups(path, image_column(path)):
            for image in encoded_images(path, group):
                assert isinstance(image.content, bytes)
                yield image.content


def _shards(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a split, in order. Raises UserError: when 'i-of-n' names have gaps."""
    paths = sorted(folder.glob(pattern))
    for path in paths:
        if match := re.fullmatch(r"(.*-)(\d+)-of-(\d+)(.*)", path.name):
            before, number, count, after = match.groups()
            for i in range(int(count)):
                # what follows the count may be a fingerprint of the shard's own
                name = f"{before}{i:0{len(number)}}-of-{count}"
                if not any(other.name.startswith(name) for other in paths):
                    missing = folder / f"{name}{after}"
                    raise UserError(f"{missing} is missing: {path.name} is one of {count}.")
    return paths


def _rows(paths: list[Path]) -> tuple[EncodedSplit, tuple[str, ...]]:
    """Return images and labels of one split's files, and class names if the files have them."""
    images: list[EncodedImage] = []
    labels: list[np.ndarray] = []
    names: tuple[str, ...] = ()
    for path in paths:
        table, column = read_table(path), label_column(path)
        images += encoded_images(path, table[image_column(path)])
        labels.append(int_labels(path, table[column]))
        names = names or class_names(table.schema.metadata, column)
    if not images:
        raise UserError(f"{paths[0]} has no rows. Download it again.")
    return (images, np.concatenate(labels)), names


def _numbered_classes(labels: np.ndarray, where: Callable[[int], str]) -> tuple[str, ...]:
    """Return the numbers of the labels as class names.

    labels: int64 (n,), of the training images.
    where: row → its name in messages.

    Raises UserError: when a number from 0 to the highest is no image's label.
    """
    used = np.unique(labels)
    gaps = np.flatnonzero(used != np.arange(len(used)))
    if len(gaps):
        row = int(np.flatnonzero(labels == used[gaps[0]])[0])
        raise UserError(
            f"{where(row)} has label {labels[row]}, but no training image has label "
            f"{gaps[0]}. Labels must be 0 … number of classes − 1."
        )
    return tuple(map(str, used))


def _check_labels(
    labels: np.ndarray, classes: tuple[str, ...], where: Callable[[int], str]
) -> None:
    """Raise UserError unless every label is an index into `classes`."""
    outside = np.flatnonzero((labels < 0) | (labels >= len(classes)))
    if len(outside):
        row = int(outside[0])
        raise UserError(
            f"{where(row)} has label {labels[row]}, but the {len(classes)} classes of the "
            f"training set are labelled 0 … {len(classes) - 1}."
        )
