"""The interpreter of programs that numba compiles: one function for a block of images.

It releases Python's lock.
"""

from typing import Any

import numpy as np

from ... import compiled as compiled_package
from ...compiled.kernel_cache import compiled_and_cached, source_hash
from .. import runtime
from .interpreter import Interpreter
from .kernels import (
    compiled,
    maximum,
    mean,
    read_logits,
    sample,
    write_bytes,
    write_images,
    zero_between,
)
from .program import Kind
from .simd import add_terms, zero_vectors
from .workspace import CLIPPED, GUARD, IMAGE, KIND, LENGTH, MASK, PADDED

LINEAR, SAMPLE, MAXIMUM, MEAN = map(int, Kind)


@compiled
def run(work, images, shapes, operations, numbers, offsets, coefficients, clips):
    """Run all operations on the first `images` images of a workspace. See `MemoryPlan`."""
    k = 0  # the first term of the operation
    for number in range(len(operations)):
        shape, out = operations[number, 0], np.int64(operations[number, 1])
        after = k + operations[number, 2]
        kind, padded = shapes[shape, KIND], shapes[shape, PADDED]
        mask, n = shapes[shape, MASK], (images - 1) * shapes[shape, IMAGE] + shapes[shape, LENGTH]
        zero_vectors(work, out - shapes[shape, GUARD], out)  # another plane may have been there
        if kind == LINEAR:
            bias, floor = numbers[number, 0], numbers[number, 1]
            add_terms(
                work,
                out,
                n,
                offsets,
                coefficients,
                clips,
                k,
                after,
                bias,
                floor,
                mask,
                padded != 0,
                shapes[shape, CLIPPED] != 0,
            )
        else:
            source = np.int64(offsets[k])
            if kind == SAMPLE:
                sample(work, source, out, shapes, shape, images)
            elif kind == MAXIMUM:
                maximum(work, source, out, shapes, shape, images)
            else:
                mean(work, source, clips[k], out, shapes, shape, images)
            if padded:
                zero_between(work, out, mask, n)
        k = after


def _entry_points(version: int) -> tuple[Any, Any]:
    """Return (infer, infer_bytes).

    version: part of numba's cache key, as a variable that both functions close over.
    """

    @compiled_and_cached
    def infer(
        work,
        pixels,
        table,
        sources,
        logits,
        out,
        shapes,
        operations,
        numbers,
        offsets,
        coefficients,
        clips,
    ):
        version  # noqa: B018
        write_images(work, pixels, sources)
        run(work, pixels.shape[0], shapes, operations, numbers, offsets, coefficients, clips)
        read_logits(work, logits, out)

    @compiled_and_cached
    def infer_bytes(
        work,
        pixels,
        table,
        sources,
        logits,
        out,
        shapes,
        operations,
        numbers,
        offsets,
        coefficients,
        clips,
    ):
        version  # noqa: B018
        write_bytes(work, pixels, table, sources)
        run(work, pixels.shape[0], shapes, operations, numbers, offsets, coefficients, clips)
        read_logits(work, logits, out)

    return infer, infer_bytes


infer, infer_bytes = _entry_points(source_hash(compiled_package, runtime))
# Few images at a time: their planes stay in the cache.
INTERPRETER = Interpreter(infer, infer_bytes, block_images=2, workspace_bytes=2**22)
