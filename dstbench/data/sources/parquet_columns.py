"""The contents of one parquet file: its footer, and its columns of images and labels."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dstbench.data.sources.decode import EncodedImage, lfs_remedy
from dstbench.errors import UserError
from dstbench.utils.json_text import parse_json

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMNS = ("label", "fine_label", "labels", "class", "target", "coarse_label")


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


def count_rows(path: Path) -> int:
    """Return the number of rows of the file. Raises UserError: when it is damaged."""
    from pyarrow import parquet

    return _read(path, lambda: parquet.read_metadata(path)).num_rows


def read_row_groups(path: Path, column: str) -> Iterator[Any]:
    """Yield one column of the file, row group by row group. Raises UserError: when damaged."""
    from pyarrow import parquet

    file = _read(path, lambda: parquet.ParquetFile(path))
    for i in range(file.num_row_groups):
        yield _read(path, partial(file.read_row_group, i, columns=[column]))[column]


def image_column(path: Path) -> str:
    """Return the name of the file's image column: one of IMAGE_COLUMNS, or the only one of images.

    Raises UserError: when it has none, or several.
    """
    schema = _schema(path)
    if named := _named(schema.names, IMAGE_COLUMNS):
        return named[0]
    found = [name for name in schema.names if _holds_bytes(schema.field(name).type)]
    if len(found) == 1:
        return found[0]
    what = f"several columns of images: {', '.join(found)}" if found else "no column of images"
    raise UserError(
        f"{path} has {what}; its columns are {', '.join(schema.names)}. Name the column of images "
        f"{_or(IMAGE_COLUMNS)}."
    )


def label_column(path: Path) -> tuple[str, str | None]:
    """Return the name of the file's label column, and a note where another one was possible.

    It is the first one of LABEL_COLUMNS, or the only one beside the images.

    Raises UserError: when it has none.
    """
    schema = _schema(path)
    if named := _named(schema.names, LABEL_COLUMNS):
        column, *others = named
        note = f"the labels are those of column {column!r}, not of {_or(others)}."
        return column, note if others else None
    images = image_column(path)
    others = [n for n in schema.names if n != images and _holds_labels(schema.field(n).type)]
    if len(others) == 1:
        return others[0], f"the labels are those of column {others[0]!r}."
    raise UserError(
        f"{path} has no column {_or(LABEL_COLUMNS)}; its columns are {', '.join(schema.names)}. "
        "Rename the column of labels."
    )


def encoded_images(path: Path, column: Any) -> list[EncodedImage]:
    """Return the images of a pyarrow column. Raises UserError: when it has none in some row."""
    from pyarrow import compute

    kind = column.type
    if not _holds_bytes(kind):
        raise UserError(
            f"{path}: the image column is {kind}; expected encoded images (PNG, JPEG, …) as bytes, "
            "or as a struct with 'bytes' (and a name in 'path')."
        )
    if _is_struct(kind):
        column = compute.struct_field(column, "bytes")
    contents = column.to_pylist()
    for row, content in enumerate(contents):
        if content is None:
            raise UserError(f"{path}, row {row} (counting from 0) has no image bytes.")
    return [EncodedImage(content, f"{path}, row {row}") for row, content in enumerate(contents)]


def label_values(path: Path, column: Any) -> np.ndarray:
    """Return a pyarrow column as (n,), int64 or text; -1 in every row where no row has a label.

    Raises UserError: when only some rows have one, or it is neither whole numbers nor text.
    """
    import pyarrow
    from pyarrow import compute

    types = pyarrow.types
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if len(column) and column.null_count == len(column):
        return np.full(len(column), -1)
    fault = f"{column.null_count} rows without one" if column.null_count else column.type
    if not column.null_count:
        if types.is_boolean(column.type):
            column = column.cast(pyarrow.string())
        if _is_text(column.type):
            return np.array(column.to_pylist(), dtype=object)
        try:
            if types.is_integer(column.type) or types.is_floating(column.type):
                return compute.cast(column, pyarrow.int64()).to_numpy()
        except pyarrow.ArrowInvalid as error:
            fault = f"{column.type} ({error})"
    raise UserError(f"{path}: labels must be whole numbers or text in every row, found {fault}.")


def class_names(metadata: dict[bytes, bytes] | None, column: str) -> tuple[str, ...]:
    """Return the class names that dataset hubs store in a file's metadata; () without any."""
    try:
        features = parse_json((metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(map(str, features[column]["names"]))
    except (KeyError, TypeError, ValueError):
        return ()


def _schema(path: Path) -> Any:
    """Return the file's pyarrow.Schema."""
    from pyarrow import parquet

    return _read(path, lambda: parquet.read_schema(path))


def _named(names: Sequence[str], allowed: Sequence[str]) -> list[str]:
    """Return the columns of an allowed name, in the order of those; capitals do not matter."""
    return [name for wanted in allowed for name in names if name.lower() == wanted]


def _or(names: Sequence[str]) -> str:
    return " or ".join(map(repr, names))


def _holds_bytes(kind: Any) -> bool:
    """Return whether a type can hold encoded images."""
    import pyarrow

    if _is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind)


def _is_struct(kind: Any) -> bool:
    import pyarrow

    return pyarrow.types.is_struct(kind)


def _holds_labels(kind: Any) -> bool:
    """Return whether a type can hold labels."""
    import pyarrow

    types = pyarrow.types
    return (
        types.is_integer(kind)
        or types.is_dictionary(kind)
        or types.is_boolean(kind)
        or _is_text(kind)
    )


def _is_text(kind: Any) -> bool:
    import pyarrow

    return pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)


def _read(path: Path, read: Callable[[], Any]) -> Any:
    """Return read(). Raises UserError: when the file is damaged."""
    import pyarrow

    try:
        return read()
    except (pyarrow.ArrowException, OSError) as error:
        size = path.stat().st_size
        with path.open("rb") as file:
            remedy = lfs_remedy(file.read(100)) or "Download it again."
        reason = str(error).splitlines()[0] if size else "it is empty"
        raise UserError(
            f"{path} is corrupt or half downloaded ({size:,} bytes): {reason} {remedy}"
        ) from None
