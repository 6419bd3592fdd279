"""The interpreter of programs in numpy alone, for machines without numba.

Every strip is a slice or a view that numpy checks against the workspace. Sums are added up in
another order than in compiled code, so logits differ by rounding.
"""

from typing import Any

import numpy as np

from .interpreter import Interpreter
from .program import NO_CLIP, Kind
from .workspace import (
    CLIPPED,
    GUARD,
    HEIGHT,
    IMAGE,
    IN_HEIGHT,
    IN_IMAGE,
    IN_ROW,
    IN_WIDTH,
    KIND,
    LENGTH,
    MASK,
    PADDED,
    ROW,
    SETTINGS,
    WIDTH,
    view,
)

_CHUNK = 2**16  # floats of the terms that are added up at a time: they stay in the cache


def _infer(work, pixels, table, sources, logits, out, *program):
    for channel in range(pixels.shape[1]):
        _write(work, sources[channel], pixels[:, channel])
    _run(work, len(pixels), logits, out, *program)


def _infer_bytes(work, pixels, table, sources, logits, out, *program):
    for channel in range(pixels.shape[3]):
        _write(work, sources[channel], table[channel][pixels[..., channel]])
    _run(work, len(pixels), logits, out, *program)


INTERPRETER = Interpreter(_infer, _infer_bytes, block_images=64, workspace_bytes=2**25)


def _write(work: np.ndarray, source: np.ndarray, planes: np.ndarray) -> None:
    start, row, image = source
    view(work, start, planes.shape, (image, row, 1))[...] = planes


def _run(work, images, logits, out, shapes, operations, numbers, offsets, coefficients, clips):
    """Run all operations on the first `images` images of a workspace. See `MemoryPlan`."""
    after = np.cumsum(operations[:, 2])
    with np.errstate(all="ignore"):  # NaN and infinity propagate in silence, as in compiled code
        for (shape, start, count), end, (bias, floor) in zip(
            operations.tolist(), after.tolist(), numbers, strict=True
        ):
            row, terms = shapes[shape].tolist(), slice(end - count, end)
            length = (images - 1) * row[IMAGE] + row[LENGTH]
            work[start - row[GUARD] : start] = 0  # another plane may have been there
            if row[KIND] == Kind.LINEAR:
                some_clips = clips[terms] if row[CLIPPED] else None
                sums = _sum(work, length, offsets[terms], coefficients[terms], some_clips, bias)
                work[start : start + length] = np.maximum(sums, floor)
            else:
                result = _KINDS[row[KIND]](work, int(offsets[end - 1]), clips[end - 1], row, images)
                _planes(work, start, row, images)[...] = result
            if row[PADDED]:
                strip, mask = work[start : start + length], work[row[MASK] :][:length]
                strip[mask == 0] = 0  # a pixel's mask is NaN
    for which, (start, image) in enumerate(logits):
        out[:, which] = view(work, start, (len(out),), (image,))


def _sum(
    work: np.ndarray,
    length: int,
    offsets: np.ndarray,
    coefficients: np.ndarray,
    clips: np.ndarray | None,
    bias: np.float32,
) -> np.ndarray:
    """Return bias + Σ coefficient · max(work[offset + i], clip), (length,)."""
    strips = view(work, 0, (len(work) - length + 1, length), (1, 1))
    sums = np.full(length, bias)
    step = max(1, _CHUNK // length)
    for first in range(0, len(offsets), step):
        some = slice(first, first + step)
        terms = strips[offsets[some]]
        if clips is not None:
            np.maximum(terms, clips[some, None], out=terms)
        terms *= coefficients[some, None]
        sums += terms.sum(0)
    return sums


def _sample(work: np.ndarray, source: int, clip: np.float32, row: list[int], images: int) -> Any:
    """Return every stride-th pixel. Pixels outside the plane are zeros in the workspace."""
    rows, columns = row[SETTINGS + 2 : SETTINGS + 4]
    strides = (row[IN_IMAGE], row[IN_ROW] * rows, columns)
    return view(work, source, (images, row[HEIGHT], row[WIDTH]), strides)


def _maximum(work: np.ndarray, source: int, clip: np.float32, row: list[int], images: int) -> Any:
    """Return the maximum of every window, columns first. NaN propagates."""
    planes = _read_planes(work, source, row, images)
    for axis, size, count in ((2, IN_WIDTH, WIDTH), (1, IN_HEIGHT, HEIGHT)):
        at = axis - 1
        pad, stride, window = (row[SETTINGS + of + at] for of in (0, 2, 4))
        first = np.arange(row[count]) * stride - pad
        edges = np.stack([first, first + window], 1).clip(0, row[size]).reshape(-1)
        # Maxima from each edge to the next; one more pixel, as an edge may be the plane's end.
        more = [(0, 0)] * 3
        more[axis] = (0, 1)
        planes = np.maximum.reduceat(np.pad(planes, more), edges, axis)
        planes = planes[:, :, ::2] if axis == 2 else planes[:, ::2]
    return np.maximum(planes, NO_CLIP)


def _mean(work: np.ndarray, source: int, clip: np.float32, row: list[int], images: int) -> Any:
    """Return the mean of max(pixel, clip) over the plane."""
    planes = _read_planes(work, source, row, images)
    return np.maximum(planes, clip).mean((1, 2), np.float64, keepdims=True)


_KINDS = {int(Kind.SAMPLE): _sample, int(Kind.MAXIMUM): _maximum, int(Kind.MEAN): _mean}


def _planes(work: np.ndarray, start: int, row: list[int], images: int) -> np.ndarray:
    return view(work, start, (images, row[HEIGHT], row[WIDTH]), (row[IMAGE], row[ROW], 1))


def _read_planes(work: np.ndarray, source: int, row: list[int], images: int) -> np.ndarray:
    shape = (images, row[IN_HEIGHT], row[IN_WIDTH])
    return view(work, source, shape, (row[IN_IMAGE], row[IN_ROW], 1))
