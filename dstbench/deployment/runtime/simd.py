"""The inner loops of a compiled network, written in LLVM for vector registers.

A strip is a contiguous range of floats. For each block of a strip the whole sum of terms is added
up in registers and stored once; a loop in Python is compiled so only for a fixed number of terms.
"""

import itertools
from typing import Any

from numba import types
from numba.extending import intrinsic

from ...compiled.lanes import LANES
from ...compiled.vectors import Emitter, integer

BLOCKS = (4, 2, 1)  # vectors that are added up side by side, each in its own register


@intrinsic
def _add(
    typing: Any,
    work: Any,
    out: Any,
    n: Any,
    offsets: Any,
    coefficients: Any,
    clips: Any,
    first: Any,
    last: Any,
    bias: Any,
    floor: Any,
    mask: Any,
    masked: Any,
    clipped: Any,
) -> Any:
    """work[out + i] = max(bias + Σ coefficient · max(work[offset + i], clip), floor), i < n.

    NaN propagates. Up to LANES − 1 more floats are written, and the strip that is written must not
    overlap those that are read. Arrays are contiguous.

    work: float32, the memory of all strips.
    out: int64, first index of the result.
    n: int64, length of the result.
    offsets: int32, first index that each term reads.
    coefficients, clips: float32, of each term.
    first, last: int64, the sum is over the terms first … last − 1.
    bias, floor: float32.
    mask: int64, first index of the mask.
    masked: whether the result is combined with the mask's bits by a bitwise and.
    clipped: whether any term has a clip above all numbers' least; without, clips are not read.
    """
    arguments = (
        work,
        types.int64,
        types.int64,
        offsets,
        coefficients,
        clips,
        types.int64,
        types.int64,
        types.float32,
        types.float32,
        types.int64,
        types.boolean,
        types.boolean,
    )
    return types.void(*arguments), _add_terms


@intrinsic
def _zero(typing: Any, work: Any, first: Any, end: Any) -> Any:
    """work[i] = 0, first ≤ i < end. end − first is a multiple of LANES."""
    return types.void(work, types.int64, types.int64), _zero_vectors


@intrinsic
def _take(typing: Any, work: Any, out: Any, source: Any, n: Any) -> Any:
    """work[out + i] = work[source + 2 · i], i < n. Up to LANES − 1 more floats are written."""
    return types.void(work, types.int64, types.int64, types.int64), _take_second


# Compiled code calls them without the first argument.
add_terms: Any = _add
take_second: Any = _take
zero_vectors: Any = _zero


def _zero_vectors(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    emit = Emitter(context, builder, types.float32)
    work = emit.data(signature, args, 0)
    with emit.loop(args[1], args[2], LANES) as (at, _):
        emit.store(emit.zero, work, at)
    return context.get_dummy_value()


def _take_second(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    emit = Emitter(context, builder, types.float32)
    work = emit.data(signature, args, 0)
    _, out, source, n = args
    with emit.loop(integer(0), n, LANES // 2) as (start, _):
        both = emit.load(work, builder.add(source, builder.add(start, start)))
        emit.store(emit.even(both), work, builder.add(out, start))
    return context.get_dummy_value()


def _add_terms(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    emit = Emitter(context, builder, types.float32)
    work, offsets, coefficients, clips = (emit.data(signature, args, at) for at in (0, 3, 4, 5))
    _, out, n, _, _, _, first, last, bias, floor, mask, masked, clipped = args
    bias, floor = emit.broadcast(bias), emit.broadcast(floor)

    def vectors(start: Any, count: int, with_mask: bool, with_clips: bool) -> None:
        """Compute `count` vectors from `start` on: all terms, then floor and mask."""
        sums = [emit.variable(bias) for _ in range(count)]
        with emit.loop(first, last) as (number, _):
            offset = emit.integer_at(offsets, number)
            coefficient = emit.broadcast_at(coefficients, number)
            clip = emit.broadcast_at(clips, number) if with_clips else None
            position = builder.add(offset, start)
            for which, total in enumerate(sums):
                x = emit.load(work, builder.add(position, integer(LANES * which)))
                if clip is not None:
                    x = emit.maximum(x, clip)
                emit.set(total, emit.multiply_add(coefficient, x, emit.get(total)))
        for which, total in enumerate(sums):
            at = builder.add(start, integer(LANES * which))
            result = emit.maximum(emit.get(total), floor)
            if with_mask:
                result = emit.bitwise_and(result, emit.load(work, builder.add(mask, at)))
            emit.store(result, work, builder.add(out, at))

    def strip(with_mask: bool, with_clips: bool) -> None:
        start = integer(0)
        for count in BLOCKS:
            end = n  # of the last blocks, which write up to LANES − 1 more floats
            if count > 1:
                rest = builder.and_(builder.sub(n, start), integer(LANES * count - 1))
                end = builder.sub(n, rest)
            with emit.loop(start, end, LANES * count) as (at, _):
                vectors(at, count, with_mask, with_clips)
            start = end

    for with_mask, with_clips in itertools.product((True, False), repeat=2):
        is_masked = masked if with_mask else builder.not_(masked)
        is_clipped = clipped if with_clips else builder.not_(clipped)
        with builder.if_then(builder.and_(is_masked, is_clipped)):
            strip(with_mask, with_clips)
    return context.get_dummy_value()
