"""Parquet files as dataset hubs lay them out.

X/train*.parquet and X/test*.parquet or X/validation*.parquet, with an image column `img` or `image`
(a struct of bytes and path) and a label column `label` or `fine_label` (whole numbers).
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from dstbench.decode import Encoded, Split, decode_both
from dstbench.errors import UserError
from dstbench.images import Images, Source

TRAIN_FILES = "train*.parquet"
TEST_FILES = ("test*.parquet", "validation*.parquet")
IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMNS = ("label", "fine_label")


def recognises(folder: Path) -> bool:
    return any(folder.glob(TRAIN_FILES))


def find(folder: Path) -> Source:
    """The dataset in `folder`; its key hashes the files' content.

    Classes are named by the files' metadata where it has names, else by their numbers. Raises
    UserError for missing shards at once, and for unreadable files, missing columns, labels out of
    range and missing images when decoded.
    """
    train_files = _shards(folder, TRAIN_FILES)
    test_files = next((f for pattern in TEST_FILES if (f := _shards(folder, pattern))), [])
    if not test_files:
        raise UserError(f"{folder}: has train files but no {' or '.join(TEST_FILES)}. Add them.")
    digest = hashlib.sha256()
    for path in train_files + test_files:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.name}\0{content}\n".encode())

    def decode_all() -> tuple[Images, Images, tuple[str, ...]]:
        train, names = _rows(train_files)
        test, _ = _rows(test_files)
        classes = names or _numbered(train)
        for split in (train, test):
            _check_labels(split, classes)
        return (*decode_both(train, test), classes)

    return Source(digest.hexdigest(), decode_all)


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
        pixels, column = _column(path, table, IMAGE_COLUMNS), _column(path, table, LABEL_COLUMNS)
        images += _encoded(path, table[pixels])
        labels.append(_labels(path, table[column]))
        names = names or _class_names(table.schema.metadata, column)
    if not images:
        raise UserError(f"{paths[0]} has no rows. Download it again.")
    return (images, np.concatenate(labels)), names


def _table(path: Path) -> Any:
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.read_table(path, partitioning=None)
    except (pyarrow.ArrowException, OSError) as error:
        size = path.stat().st_size
        reason = str(error).splitlines()[0] if size else "it is empty"
        raise UserError(
            f"{path} is corrupt or half downloaded ({size:,} bytes): {reason} Download it again."
        ) from None


def _column(path: Path, table: Any, wanted: tuple[str, ...]) -> str:
    for name in wanted:
        if name in table.column_names:
            return name
    raise UserError(
        f"{path} has no column {' or '.join(map(repr, wanted))}; it has "
        f"{', '.join(table.column_names)}. Rename the column that is meant."
    )


def _encoded(path: Path, column: Any) -> list[Encoded]:
    import pyarrow
    from pyarrow import compute

    kind = column.type
    if not pyarrow.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        raise UserError(
            f"{path}: the image column is {kind}; wanted is a struct with the encoded image in "
            "'bytes' (and its name in 'path')."
        )
    contents = compute.struct_field(column, "bytes").to_pylist()
    for row, content in enumerate(contents):
        if content is None:
            raise UserError(f"{path}, row {row} (counting from 0) has no image bytes.")
    return [Encoded(content, f"{path}, row {row}") for row, content in enumerate(contents)]


def _labels(path: Path, column: Any) -> np.ndarray:
    import pyarrow

    if not pyarrow.types.is_integer(column.type) or column.null_count:
        fault = f"{column.null_count} rows without one" if column.null_count else column.type
        raise UserError(f"{path}: labels must be whole numbers in every row, found {fault}.")
    return column.to_numpy().astype(np.int64)


def _class_names(metadata: dict[bytes, bytes] | None, column: str) -> tuple[str, ...]:
    """Class names that dataset hubs keep in a file's metadata; none if there are none."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(map(str, features[column]["names"]))
    except (KeyError, TypeError, ValueError):
        return ()


def _numbered(train: Split) -> tuple[str, ...]:
    """Classes without names: every number from 0 up must be the label of some training image."""
    images, labels = train
    used = np.unique(labels)
    gaps = np.flatnonzero(used != np.arange(len(used)))
    if len(gaps):
        row = int(np.flatnonzero(labels == used[gaps[0]])[0])
        raise UserError(
            f"{images[row].where} has label {labels[row]}, yet no training image has label "
            f"{gaps[0]}. Labels must be 0 … number of classes − 1."
        )
    return tuple(map(str, used))


def _check_labels(split: Split, classes: tuple[str, ...]) -> None:
    images, labels = split
    outside = np.flatnonzero((labels < 0) | (labels >= len(classes)))
    if len(outside):
        row = int(outside[0])
        raise UserError(
            f"{images[row].where} has label {labels[row]}, but the {len(classes)} classes of the "
            f"training set are labelled 0 … {len(classes) - 1}."
        )
