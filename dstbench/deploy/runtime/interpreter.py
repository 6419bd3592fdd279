"""The interpreter of programs: one compiled function runs all operations on a block of images.

It leaves Python's lock free and knows nothing of threads.
"""

import hashlib
import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from dstbench.deploy.runtime import memory_plan, program, simd
from dstbench.deploy.runtime.memory_plan import (  # fmt: skip
    CLEAN,
    HEIGHT,
    IMAGE,
    IN_HEIGHT,
    IN_IMAGE,
    IN_ROW,
    IN_WIDTH,
    KIND,
    LENGTH,
    MASK,
    ROW,
    SETTINGS,
    WIDTH,
)
from dstbench.deploy.runtime.program import NO_CLIP, Kind
from dstbench.deploy.runtime.simd import add_terms, take_second

LINEAR, SAMPLE, MAXIMUM, MEAN = map(int, Kind)


_compiled: Any = njit(nogil=True)


def _kept(function: Callable[..., Any]) -> Any:
    """Compiled when first called, and kept on disk where there is a folder to keep it in."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # neither this folder nor the user's cache can be written
        return _compiled(function)


def _version() -> int:
    """A hash of all source that goes into compiled code. numba itself watches this file alone."""
    modules = (memory_plan, program, simd, sys.modules[__name__])
    try:
        source = "".join(inspect.getsource(module) for module in modules)
    except OSError:  # there is none, and then numba keeps nothing
        return 0
    return int.from_bytes(hashlib.sha256(source.encode()).digest()[:7])


@_compiled
def _above(x, floor):
    """What is no number stays that."""
    return floor if floor > x else x


@_compiled
def _sample(work, source, out, shapes, shape, images):
    """What lies outside the plane is read, too: the layout has zeros there."""
    # Read once: for all the compiler knows, a number that is written could change them.
    height, width, row, image = (
        shapes[shape, HEIGHT], shapes[shape, WIDTH], shapes[shape, ROW], shapes[shape, IMAGE]
    )  # fmt: skip
    columns, in_image = shapes[shape, SETTINGS + 3], shapes[shape, IN_IMAGE]
    in_row = shapes[shape, IN_ROW] * shapes[shape, SETTINGS + 2]
    for b in range(images):
        x, y = source + b * in_image, out + b * image
        for _ in range(height):
            if columns == 2:  # writes beyond its row, where the next row comes
                take_second(work, y, x, width)
            else:
                for c in range(width):
                    work[y + c] = work[x + c * columns]
            x += in_row
            y += row


@_compiled
def _maximum(work, source, out, shapes, shape, images):
    height, width, row, image = (
        shapes[shape, HEIGHT], shapes[shape, WIDTH], shapes[shape, ROW], shapes[shape, IMAGE]
    )  # fmt: skip
    in_height, in_width, in_row, in_image = (
        shapes[shape, IN_HEIGHT], shapes[shape, IN_WIDTH], shapes[shape, IN_ROW],
        shapes[shape, IN_IMAGE],
    )  # fmt: skip
    above, before = shapes[shape, SETTINGS], shapes[shape, SETTINGS + 1]
    down, right = shapes[shape, SETTINGS + 2], shapes[shape, SETTINGS + 3]
    rows, columns = shapes[shape, SETTINGS + 4], shapes[shape, SETTINGS + 5]
    for b in range(images):
        for r in range(height):
            top = max(r * down - above, 0)
            bottom = min(r * down - above + rows, in_height)
            for c in range(width):
                first = max(c * right - before, 0)
                last = min(c * right - before + columns, in_width)
                best = NO_CLIP
                for i in range(top, bottom):
                    x = source + b * in_image + i * in_row
                    for j in range(first, last):
                        value = work[x + j]
                        if value > best or value != value:
                            best = value
                work[out + b * image + r * row + c] = best


@_compiled
def _mean(work, source, clip, out, shapes, shape, images):
    height, width, row, image = (
        shapes[shape, IN_HEIGHT], shapes[shape, IN_WIDTH], shapes[shape, IN_ROW],
        shapes[shape, IN_IMAGE],
    )  # fmt: skip
    out_image = shapes[shape, IMAGE]
    for b in range(images):
        total = np.float32(0)
        for r in range(height):
            x = source + b * image + r * row
            for c in range(width):
                total += _above(work[x + c], clip)
        work[out + b * out_image] = total / np.float32(height * width)


@_compiled
def _clean(work, out, mask, n):
    for i in range(n):
        if work[mask + i] == 0:
            work[out + i] = 0


@_compiled
def run(work, images, shapes, operations, numbers, offsets, coefficients, clips):
    """Run all operations on the first `images` images of a workspace. See `layout`."""
    k = 0  # the first term of the operation
    for number in range(len(operations)):
        shape, out = operations[number, 0], np.int64(operations[number, 1])
        after = k + operations[number, 2]
        kind, clean = shapes[shape, KIND], shapes[shape, CLEAN]
        n = (images - 1) * shapes[shape, IMAGE] + shapes[shape, LENGTH]
        if kind == LINEAR:
            add_terms(
                work, out, n, offsets, coefficients, clips, k, after, numbers[number, 0],
                numbers[number, 1], shapes[shape, MASK], clean != 0,
            )  # fmt: skip
        else:
            source = np.int64(offsets[k])
            if kind == SAMPLE:
                _sample(work, source, out, shapes, shape, images)
            elif kind == MAXIMUM:
                _maximum(work, source, out, shapes, shape, images)
            else:
                _mean(work, source, clips[k], out, shapes, shape, images)
            if clean:
                _clean(work, out, shapes[shape, MASK], n)
        k = after


@_compiled
def _leave(work, logits, out):
    for b in range(len(out)):
        for c in range(len(logits)):
            out[b, c] = work[logits[c, 0] + b * logits[c, 1]]


@_compiled
def _put(work, pixels, sources):
    for b in range(pixels.shape[0]):
        for channel in range(pixels.shape[1]):
            for r in range(pixels.shape[2]):
                y = sources[channel, 0] + b * sources[channel, 2] + r * sources[channel, 1]
                for c in range(pixels.shape[3]):
                    work[y + c] = pixels[b, channel, r, c]


@_compiled
def _put_bytes(work, pixels, table, sources):
    for b in range(pixels.shape[0]):
        for r in range(pixels.shape[1]):
            for c in range(pixels.shape[2]):
                for channel in range(pixels.shape[3]):
                    y = sources[channel, 0] + b * sources[channel, 2] + r * sources[channel, 1]
                    work[y + c] = table[channel, pixels[b, r, c, channel]]


def _entries(version: int) -> tuple[Any, Any]:
    """(infer, infer_bytes). numba keeps compiled code by what a function closes over, too."""

    @_kept
    def infer(work, pixels, table, sources, logits, out, shapes, operations, numbers, offsets,
              coefficients, clips):  # fmt: skip
        version  # noqa: B018
        _put(work, pixels, sources)
        run(work, pixels.shape[0], shapes, operations, numbers, offsets, coefficients, clips)
        _leave(work, logits, out)

    @_kept
    def infer_bytes(work, pixels, table, sources, logits, out, shapes, operations, numbers,
                    offsets, coefficients, clips):  # fmt: skip
        version  # noqa: B018
        _put_bytes(work, pixels, table, sources)
        run(work, pixels.shape[0], shapes, operations, numbers, offsets, coefficients, clips)
        _leave(work, logits, out)

    return infer, infer_bytes


# infer: images (n, C, H, W) float32 → out (n, classes). n: at most what the workspace is laid out
# for. infer_bytes: the same for uint8 (n, H, W, C), each byte through its channel's table: float32
# (C, 256).
infer, infer_bytes = _entries(_version())
