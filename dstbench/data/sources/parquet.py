"""Datasets in parquet files, as on dataset hubs. Files, columns and labels have a module each."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dstbench.data.images import Images, Source
from dstbench.data.sources.choose_test import absent_classes, choose_test, hold_out
from dstbench.data.sources.decode import EncodedImage, EncodedSplit, decode_splits
from dstbench.data.sources.encoded import EncodedImages, EncodedSource, packed_file
from dstbench.data.sources.parquet_columns import (
    count_rows,
    encoded_images,
    image_column,
    read_footer,
    read_row_groups,
    read_table,
)
from dstbench.data.sources.parquet_files import recognises as recognises
from dstbench.data.sources.parquet_files import split_files, split_name
from dstbench.data.sources.parquet_labels import (
    classes_of,
    is_labelled,
    numbered,
    numbering_note,
    read_labels,
)
from dstbench.utils.files import sha256_of


class Rows(NamedTuple):
    """A split: rows of files.

    rows: int64 (n,), indices of its rows among those of all files, in order.
    labels: int64 (n,), of these rows.
    """

    files: list[Path]
    rows: np.ndarray
    labels: np.ndarray


class Found(NamedTuple):
    """A dataset: its splits, class names, and what the user should know about the choice."""

    train: Rows
    test: Rows
    classes: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def files(self) -> list[Path]:
        return list(dict.fromkeys([*self.train.files, *self.test.files]))


def find(folder: Path, size: int | None = None) -> Source:
    """Return the dataset in `folder`; its key hashes the files' content.

    Class names come from the files' metadata if it has them, else they are the labels themselves.

    size: see `decode`.

    Raises UserError: when shards are missing, a file is damaged or lacks a column, or a label is
        wrong. Decoding raises it for missing and for damaged images.
    """
    found = _found(folder)
    digest = hashlib.sha256(repr((found.classes, size)).encode())
    for path in found.files:
        digest.update(os.fsencode(path.name) + f"\0{sha256_of(path)}\n".encode())
    for split in (found.train, found.test):
        digest.update(split.labels.tobytes())

    def decode_all() -> tuple[Images, Images, tuple[str, ...]]:
        return (*decode_splits(_images(found.train), _images(found.test), size), found.classes)

    return Source(digest.hexdigest(), decode_all, notes=found.notes)


def find_encoded(folder: Path) -> EncodedSource:
    """Return the dataset in `folder`, its images not decoded.

    The images are copied to packed files in the cache, since a single row of a parquet file cannot
    be read cheaply. The sha256 is of the files' names, sizes and footers, which describe every
    column.

    Raises UserError: as `find`.
    """
    found = _found(folder)
    digest = hashlib.sha256()
    for path in found.files:
        size = f"\0{path.stat().st_size}\n".encode()
        digest.update(os.fsencode(path.name) + size + read_footer(path))
    key = digest.hexdigest()

    def packed(split: Rows, name: str, cache: Path) -> EncodedImages:
        path = cache / f"{folder.name}-{key[:16]}.{name}.encoded"
        count = sum(count_rows(file) for file in split.files)
        images = packed_file(path, _contents(split.files), count)
        return EncodedImages(images[split.rows], split.labels)

    def images(cache: Path) -> tuple[EncodedImages, EncodedImages]:
        held_out = found.test.files == found.train.files
        test = packed(found.test, "train" if held_out else "test", cache)
        return packed(found.train, "train", cache), test

    return EncodedSource(found.classes, key, images, found.notes)


def _found(folder: Path) -> Found:
    """Return the splits and classes of the parquet files in a folder."""
    files = split_files(folder)
    train = read_labels(files.train)
    classes = classes_of(train)
    labels = numbered(train, train, classes)
    tests = {split: read_labels(paths) for split, paths in files.tests.items()}
    names = {split: split_name(folder, paths) for split, paths in files.tests.items()}
    labelled = {split: is_labelled(read, train) for split, read in tests.items()}
    chosen, notes = choose_test(folder, labelled, names)
    if chosen is None:
        training, testing = (Rows(files.train, k, labels[k]) for k in hold_out(folder, labels))
    else:
        training = Rows(files.train, np.arange(len(labels)), labels)
        found = numbered(tests[chosen], train, classes)
        testing = Rows(files.tests[chosen], np.arange(len(found)), found)
        notes += absent_classes(names[chosen], found, classes)
    return Found(
        training,
        testing,
        classes,
        (
            *train.notes,
            *numbering_note(train, classes),
            *notes,
            *files.notes,
        ),
    )


def _images(split: Rows) -> EncodedSplit:
    """Return the encoded images of a split, and their labels."""
    images: list[EncodedImage] = []
    for path in split.files:
        column = image_column(path)
        images += encoded_images(path, read_table(path, [column])[column])
    return [images[row] for row in split.rows], split.labels


def _contents(files: Iterable[Path]) -> Iterator[bytes]:
    """Yield the encoded images of a split's files, one row group at a time in memory."""
    for path in files:
        for group in read_row_groups(path, image_column(path)):
            for image in encoded_images(path, group):
                assert isinstance(image.content, bytes)
                yield image.content
