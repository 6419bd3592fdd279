"""The columns of a parquet file: which hold images and labels, and their contents."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dstbench.data.sources.decode import Encoded
from dstbench.errors import UserError

IMAGE_COLUMNS = ("img", "image")


LABEL_COLUMNS = ("label", "fine_label")


def _footer(path: Path) -> bytes:
    """A parquet file's description of itself, which lies at its end."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size < 12:
            return b""  # no parquet file; reading it says so
        file.seek(size - 8)
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(0, size - 8 - length))
        return file.read(length)


def _table(path: Path, columns: list[str] | None = None) -> Any:
    from pyarrow import parquet

    return _read(path, lambda: parquet.read_table(path, columns=columns, partitioning=None))


def _names(path: Path) -> list[str]:
    """The names of a file's columns."""
    from pyarrow import parquet

    return _read(path, lambda: parquet.read_schema(path)).names


def _row_groups(path: Path, column: str) -> Iterator[Any]:
    """One column of a file, row group by row group."""
    from pyarrow import parquet

    file = _read(path, lambda: parquet.ParquetFile(path))
    for i in range(file.num_row_groups):
        yield _read(path, partial(file.read_row_group, i, columns=[column]))[column]


def _read(path: Path, how: Callable[[], Any]) -> Any:
    """What `how` reads of a file. Raises UserError where it cannot."""
    import pyarrow

    try:
        return how()
    except (pyarrow.ArrowException, OSError) as error:
        size = path.stat().st_size
        reason = str(error).splitlines()[0] if size else "it is empty"
        raise UserError(
            f"{path} is corrupt or half downloaded ({size:,} bytes): {reason} Download it again."
        ) from None


def _column(path: Path, has: list[str], wanted: tuple[str, ...]) -> str:
    for name in wanted:
        if name in has:
            return name
    raise UserError(
        f"{path} has no column {' or '.join(map(repr, wanted))}; it has "
        f"{', '.join(has)}. Rename the column that is meant."
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
