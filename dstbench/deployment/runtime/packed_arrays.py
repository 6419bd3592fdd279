"""Arrays packed for a file: integers in small dtypes, planes as their distinct rows and columns."""

import numpy as np


def narrow(numbers: np.ndarray) -> np.ndarray:
    """Return integers in the smallest dtype that holds them."""
    if numbers.dtype.kind == "i" and (numbers < 0).any():
        return np.ascontiguousarray(numbers.astype(np.int32))
    largest = int(numbers.max(initial=0))
    dtype = np.uint8 if largest < 2**8 else np.uint16 if largest < 2**16 else np.uint32
    return np.ascontiguousarray(numbers.astype(dtype))


def pack_planes(planes: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return planes as their distinct rows and columns, all planes one after the other.

    planes: (height, width) float32 each.

    The result's keys are

    planes.rows, planes.columns: which distinct row or column each row or column is.
    planes.numbers: the pixels of distinct rows and columns.
    """
    rows, columns, numbers = [], [], []
    for plane in planes:
        distinct, row = np.unique(plane, axis=0, return_inverse=True)
        distinct, column = np.unique(distinct, axis=1, return_inverse=True)
        rows.append(row.reshape(-1))
        columns.append(column.reshape(-1))
        numbers.append(distinct.reshape(-1))
    none = [np.zeros(0, np.int64)]
    return {
        "planes.rows": narrow(np.concatenate(rows or none)),
        "planes.columns": narrow(np.concatenate(columns or none)),
        "planes.numbers": np.concatenate([*numbers, np.zeros(0)]).astype(np.float32),
    }


def unpack_planes(tensors: dict[str, np.ndarray], shapes: list[list[int]]) -> list[np.ndarray]:
    """Return the planes that `pack_planes` packed.

    shapes: (height, width) of each.

    Raises ValueError and IndexError for arrays that do not belong together.
    """
    planes = []
    at_row = at_column = at = 0
    for height, width in shapes:
        row = tensors["planes.rows"][at_row : at_row + height].astype(np.int64)
        column = tensors["planes.columns"][at_column : at_column + width].astype(np.int64)
        if (len(row), len(column)) != (height, width):
            raise ValueError("a plane lacks rows or columns")
        size = (int(row.max()) + 1, int(column.max()) + 1)
        if size[0] > height or size[1] > width:  # such a plane could fill the memory on its way
            raise ValueError("a plane has more distinct rows or columns than rows or columns")
        numbers = tensors["planes.numbers"][at : at + size[0] * size[1]].reshape(size)
        planes.append(numbers[row][:, column])
        at_row, at_column, at = at_row + height, at_column + width, at + numbers.size
    return planes
