"""Parquet files as dataset hubs lay them out.

X/train*.parquet and X/test*.parquet or X/validation*.parquet, with an image column `img` or `image`
(a struct of bytes and path) and a label column `label` or `fine_label` (whole numbers).
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from dstbench.data.images import Images, Source
from dstbench.data.sources.decode import Encoded, Split, decode_both
from dstbench.data.sources.encoded import EncodedImages, EncodedSource, pack
from dstbench.data.sources.parquet_columns import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    _class_names,
    _column,
    _encoded,
    _footer,
    _labels,
    _names,
    _row_groups,
    _table,
)
from dstbench.errors import UserError

TRAIN_FILES = "train*.parquet"
TEST_FILES = ("test*.parquet", "validation*.parquet")


def recognises(folder: Path) -> bool:
    return any(folder.glob(TRAIN_FILES))


def find(folder: Path) -> Source:
    """The dataset in `folder`; its key hashes the files' content.

    Classes are named by the files' metadata where it has names, else by their numbers. Raises
    UserError for missing shards at once, and for unreadable files, missing columns, labels out of
    range and missing images when decoded.
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
        classes = names or _numbered(train[1], partial(_where, train[0]))
        for images, labels in (train, test):
            _check_labels(labels, classes, partial(_where, images))
        return (*decode_both(train, test), classes)

    return Source(digest.hexdigest(), decode_all)


def find_encoded(folder: Path) -> EncodedSource:
    """The dataset in `folder`, its images left encoded; a file of the cache holds their bytes one
    after the other, since a single row of a parquet file cannot be read cheaply.

    Its sha256 is of the files' names, sizes and footers, which describe every column. Raises
    UserError as `find`.
    """
    digest = hashlib.sha256()
    names: tuple[str, ...] = ()
    splits: list[tuple[list[Path], np.ndarray]] = []
    for files in _files(folder):
        labels = []
        for path in files:
            digest.update(f"{path.name}\0{path.stat().st_size}\n".encode() + _footer(path))
            table = _table(path, [_column(path, _names(path), LABEL_COLUMNS)])
            labels.append(_labels(path, table[table.column_names[0]]))
            names = names or _class_names(table.schema.metadata, table.column_names[0])
        splits.append((files, np.concatenate(labels)))
    classes = names or _numbered(splits[0][1], partial("{}, training row {}".format, folder))
    for which, (_, found) in zip(("training", "test"), splits, strict=True):
        _check_labels(found, classes, partial("{}, {} row {}".format, folder, which))
    key = digest.hexdigest()

    def images(cache: Path) -> tuple[EncodedImages, EncodedImages]:
        train, test = (
            EncodedImages(
                pack(cache / f"{folder.name}-{key[:16]}.{split}.encoded", _contents(files)), labels
            )
            for split, (files, labels) in zip(("train", "test"), splits, strict=True)
        )
        return train, test

    return EncodedSource(classes, key, images)


def _where(images: list[Encoded], row: int) -> str:
    return images[row].where


def _files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The training and test files. Raises UserError for what is missing."""
    train_files = _shards(folder, TRAIN_FILES)
    test_files = next((f for pattern in TEST_FILES if (f := _shards(folder, pattern))), [])
    if not test_files:
        raise UserError(f"{folder}: has train files but no {' or '.join(TEST_FILES)}. Add them.")
    return train_files, test_files


def _contents(files: list[Path]) -> Iterator[bytes]:
    """The encoded images of a split's files, a few at a time in memory."""
    for path in files:
        column = _column(path, _names(path), IMAGE_COLUMNS)
        for group in _row_groups(path, column):
            for image in _encoded(path, group):
                assert isinstance(image.content, bytes)
                yield image.content


def _shards(folder: Path, pattern: str) -> list[Path]:
    """The files of a split, in order. Raises UserError where 'i-of-n' in their names shows gaps."""
    paths = sorted(folder.glob(pattern))
    for path in paths:
        if match := re.fullmatch(r"(.*-)(\d+)-of-(\d+)(.*)", path.name):
            before, number, count, after = match.groups()
            for i in range(int(count)):
                sibling = folder / f"{before}{i:0{len(number)}}-of-{count}{after}"
                if not sibling.is_file():
                    raise UserError(f"{sibling} is missing: {path.name} says there are {count}.")
    return paths


def _rows(paths: list[Path]) -> tuple[Split, tuple[str, ...]]:
    """Images and labels of one split's files, and class names where the files carry them."""
    images: list[Encoded] = []
    labels: list[np.ndarray] = []
    names: tuple[str, ...] = ()
    for path in paths:
        table = _table(path)
        has = table.column_names
        pixels, column = _column(path, has, IMAGE_COLUMNS), _column(path, has, LABEL_COLUMNS)
        images += _encoded(path, table[pixels])
        labels.append(_labels(path, table[column]))
        names = names or _class_names(table.schema.metadata, column)
    if not images:
        raise UserError(f"{paths[0]} has no rows. Download it again.")
    return (images, np.concatenate(labels)), names


def _numbered(labels: np.ndarray, where: Callable[[int], str]) -> tuple[str, ...]:
    """Classes without names: every number from 0 up must be the label of some training image."""
    used = np.unique(labels)
    gaps = np.flatnonzero(used != np.arange(len(used)))
    if len(gaps):
        row = int(np.flatnonzero(labels == used[gaps[0]])[0])
        raise UserError(
            f"{where(row)} has label {labels[row]}, yet no training image has label "
            f"{gaps[0]}. Labels must be 0 … number of classes − 1."
        )
    return tuple(map(str, used))


def _check_labels(
    labels: np.ndarray, classes: tuple[str, ...], where: Callable[[int], str]
) -> None:
    outside = np.flatnonzero((labels < 0) | (labels >= len(classes)))
    if len(outside):
        row = int(outside[0])
        raise UserError(
            f"{where(row)} has label {labels[row]}, but the {len(classes)} classes of the "
            f"training set are labelled 0 … {len(classes) - 1}."
        )
