"""One compiled function for each kind of operation, and for images in and logits out.

Indices and strides count floats of the workspace; see `workspace`.
"""

from typing import Any

import numpy as np
from numba import njit

from .program import NO_CLIP
from .simd import take_second
from .workspace import (
    HEIGHT,
    IMAGE,
    IN_HEIGHT,
    IN_IMAGE,
    IN_ROW,
    IN_WIDTH,
    ROW,
    SETTINGS,
    WIDTH,
)

# Without wrappers for Python and C, which take time to compile: only compiled functions call these.
_OPTIONS: dict[str, Any] = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
compiled = njit(**_OPTIONS)


@compiled
def sample(work, source, out, shapes, shape, images):
    """Copy every stride-th pixel. Pixels outside the plane are zeros in the workspace."""
    # Each size is read once: the compiler must assume that a write to `work` could change it.
    height, width = shapes[shape, HEIGHT], shapes[shape, WIDTH]
    row, image = shapes[shape, ROW], shapes[shape, IMAGE]
    columns, in_image = shapes[shape, SETTINGS + 3], shapes[shape, IN_IMAGE]
    in_row = shapes[shape, IN_ROW] * shapes[shape, SETTINGS + 2]
    for b in range(images):
        x, y = source + b * in_image, out + b * image
        for _ in range(height):
            if columns == 2:  # writes past its row, into the next one, which comes later
                take_second(work, y, x, width)
            else:
                for c in range(width):
                    work[y + c] = work[x + c * columns]
            x += in_row
            y += row


@compiled
def maximum(work, source, out, shapes, shape, images):
    """Compute the maximum of every window. NaN propagates."""
    height, width = shapes[shape, HEIGHT], shapes[shape, WIDTH]
    row, image = shapes[shape, ROW], shapes[shape, IMAGE]
    in_height, in_width = shapes[shape, IN_HEIGHT], shapes[shape, IN_WIDTH]
    in_row, in_image = shapes[shape, IN_ROW], shapes[shape, IN_IMAGE]
    pad_rows, pad_columns = shapes[shape, SETTINGS], shapes[shape, SETTINGS + 1]
    stride_rows, stride_columns = shapes[shape, SETTINGS + 2], shapes[shape, SETTINGS + 3]
    rows, columns = shapes[shape, SETTINGS + 4], shapes[shape, SETTINGS + 5]
    for b in range(images):
        for r in range(height):
            top = max(r * stride_rows - pad_rows, 0)
            bottom = min(r * stride_rows - pad_rows + rows, in_height)
            for c in range(width):
                left = max(c * stride_columns - pad_columns, 0)
                right = min(c * stride_columns - pad_columns + columns, in_width)
                best = NO_CLIP
                for i in range(top, bottom):
                    x = source + b * in_image + i * in_row
                    for j in range(left, right):
                        value = work[x + j]
                        if value > best or value != value:
                            best = value
                work[out + b * image + r * row + c] = best


@compiled
def _clipped(x, floor):
    """Return max(x, floor). NaN in x propagates."""
    return floor if floor > x else x


@compiled
def mean(work, source, clip, out, shapes, shape, images):
    """Compute the mean of max(pixel, clip) over the plane."""
    height, width = shapes[shape, IN_HEIGHT], shapes[shape, IN_WIDTH]
    row, image = shapes[shape, IN_ROW], shapes[shape, IN_IMAGE]
    out_image = shapes[shape, IMAGE]
    for b in range(images):
        total = 0.0  # float64: of a large plane, float32 would lose the last two digits
        for r in range(height):
            x = source + b * image + r * row
            for c in range(width):
                total += _clipped(work[x + c], clip)
        work[out + b * out_image] = np.float32(total / (height * width))


@compiled
def zero_between(work, out, mask, n):
    """Set to zero what is between the pixels of a plane."""
    for i in range(n):
        if work[mask + i] == 0:
            work[out + i] = 0


@compiled
def write_images(work, pixels, sources):
    """Copy float32 images (n, C, H, W) into the workspace."""
    for b in range(pixels.shape[0]):
        for channel in range(pixels.shape[1]):
            for r in range(pixels.shape[2]):
                y = sources[channel, 0] + b * sources[channel, 2] + r * sources[channel, 1]
                for c in range(pixels.shape[3]):
                    work[y + c] = pixels[b, channel, r, c]


@compiled
def write_bytes(work, pixels, table, sources):
    """Copy uint8 images (n, H, W, C) into the workspace, normalised by `table` (C, 256)."""
    for b in range(pixels.shape[0]):
        for r in range(pixels.shape[1]):
            for c in range(pixels.shape[2]):
                for channel in range(pixels.shape[3]):
                    y = sources[channel, 0] + b * sources[channel, 2] + r * sources[channel, 1]
                    work[y + c] = table[channel, pixels[b, r, c, channel]]


@compiled
def read_logits(work, logits, out):
    """Copy the logits from the workspace to `out` (n, classes)."""
    for b in range(len(out)):
        for c in range(len(logits)):
            out[b, c] = work[logits[c, 0] + b * logits[c, 1]]
