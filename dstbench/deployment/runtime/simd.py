"""The inner loops of a compiled network, written in LLVM for vector registers.

A strip is a contiguous range of floats. For each block of a strip the whole sum of terms is added
up in registers and stored once; a loop in Python is compiled so only for a fixed number of terms.
"""

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
    )
    return types.void(*arguments), _add_terms


@intrinsic
def _take(typing: Any, work: Any, out: Any, source: Any, n: Any) -> Any:
    """work[out + i] = work[source + 2 · i], i < n. Up to LANES − 1 more floats are written."""
    return types.void(work, types.int64, types.int64, types.int64), _take_second


# Compiled code calls them without the first argument.
add_terms: Any = _add
take_second: Any = _take


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
    _, out, n, _, _, _, first, last, bias, floor, mask, masked = args
    bias, floor = emit.broadcast(bias), emit.broadcast(floor)

    def vectors(start: Any, count: int, with_mask: bool) -> None:
        """Compute `count` vectors from `start` on: all terms, then floor and mask."""
        sums = [emit.variable(bias) for _ in range(count)]
        with emit.loop(first, last) as (number, _):
            offset = emit.integer_at(offsets, number)
            coefficient = emit.broadcast_at(coefficients, number)
            clip = emit.broadcast_at(clips, number)
            position = builder.add(offset, start)
            for which, total in enumerate(sums):
                x = emit.load(work, builder.add(position, integer(LANES * which)))
                clipped = emit.maximum(x, clip)
                emit.set(total, emit.multiply_add(coefficient, clipped, emit.get(total)))
        for which, total in enumerate(sums):
            at = builder.add(start, integer(LANES * which))
            result = emit.maximum(emit.get(total), floor)
            if with_mask:
                result = emit.bitwise_and(result, emit.load(work, builder.add(mask, at)))
            emit.store(result, work, builder.add(out, at))

    def strip(with_mask: bool) -> None:
        start = integer(0)
        for count in BLOCKS:
            end = n  # of the last blocks, which write up to LANES − 1 more floats
            if count > 1:
                rest = builder.and_(builder.sub(n, start), integer(LANES * count - 1))
                end = builder.sub(n, rest)
            with emit.loop(start, end, LANES * count) as (at, _):
                vectors(at, count, with_mask)
            start = end

    with builder.if_else(masked) as (then, otherwise):
        with then:
            strip(True)
        with otherwise:
            strip(False)
    return context.get_dummy_value()
