"""The contents of one parquet file: its footer, and its columns of images and labels."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dstbench.data.sources.decode import EncodedImage
from dstbench.errors import UserError
from dstbench.utils.json_text import parse_json

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMNS = ("label", "fine_label")


def read_footer(path: Path) -> bytes:
    """Return the file's footer (metadata), as bytes; empty if the file is too short for one."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size < 12:
            return b""  # not a parquet file; reading its columns raises
        file.seek(size - 8)
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(0, size - 8 - length))
        return file.read(length)


def read_table(path: Path, columns: list[str] | None = None) -> Any:
    """Return the file's pyarrow.Table, of these columns or of all.

    Raises UserError: when the file is damaged.
    """
    from pyarrow import parquet

    return _read(path, lambda: parquet.read_table(path, columns=columns, partitioning=None))


def read_row_groups(path: Path, column: str) -> Iterator[Any]:
    """Yield one column of the file, row group by row group. Raises UserError: when damaged."""
    from pyarrow import parquet

    file = _read(path, lambda: parquet.ParquetFile(path))
    for i in range(file.num_row_groups):
        yield _read(path, partial(file.read_row_group, i, columns=[column]))[column]


def image_column(path: Path) -> str:
    """Return the name of the file's image column. Raises UserError: when it has none."""
    return _find_column(path, IMAGE_COLUMNS)


def label_column(path: Path) -> str:
    """Return the name of the file's label column. Raises UserError: when it has none."""
    return _find_column(path, LABEL_COLUMNS)


def encoded_images(path: Path, column: Any) -> list[EncodedImage]:
    """Return the images of a pyarrow column. Raises UserError: when it has none in some row."""
    import pyarrow
    from pyarrow import compute

    kind = column.type
    if not pyarrow.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        raise UserError(
            f"{path}: the image column is {kind}; expected a struct with the encoded image in "
            "'bytes' (and its name in 'path')."
        )
    contents = compute.struct_field(column, "bytes").to_pylist()
    for row, content in enumerate(contents):
        if content is None:
            raise UserError(f"{path}, row {row} (counting from 0) has no image bytes.")
    return [EncodedImage(content, f"{path}, row {row}") for row, content in enumerate(contents)]


def int_labels(path: Path, column: Any) -> np.ndarray:
    """Return a pyarrow column as int64 (n,). Raises UserError: when one is no whole number."""
    import pyarrow

    if not pyarrow.types.is_integer(column.type) or column.null_count:
        fault = f"{column.null_count} rows without one" if column.null_count else column.type
        raise UserError(f"{path}: labels must be whole numbers in every row, found {fault}.")
    return column.to_numpy().astype(np.int64)


def class_names(metadata: dict[bytes, bytes] | None, column: str) -> tuple[str, ...]:
    """Return the class names that dataset hubs store in a file's metadata; () without any."""
    try:
        features = parse_json((metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(map(str, features[column]["names"]))
    except (KeyError, TypeError, ValueError):
        return ()


def _find_column(path: Path, allowed: tuple[str, ...]) -> str:
    """Return the first of the allowed columns that the file has."""
    from pyarrow import parquet

    names = _read(path, lambda: parquet.read_schema(path)).names
    for name in allowed:
        if name in names:
            return name
    raise UserError(
        f"{path} has no column {' or '.join(map(repr, allowed))}; it has "
        f"{', '.join(names)}. Rename the column."
    )


def _read(path: Path, read: Callable[[], Any]) -> Any:
    """Return read(). Raises UserError: when the file is damaged."""
    import pyarrow

    try:
        return read()
    except (pyarrow.ArrowException, OSError) as error:
        size = path.stat().st_size
        reason = str(error).splitlines()[0] if size else "it is empty"
        raise UserError(
            f"{path} is corrupt or half downloaded ({size:,} bytes): {reason} Download it again."
        ) from None
