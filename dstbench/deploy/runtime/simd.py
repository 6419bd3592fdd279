"""The inner loops of a compiled network, written in LLVM for vector registers.

A strip is a contiguous range of floats. For each block of a strip the whole sum of terms is added
up in registers and stored once; a loop in Python is compiled so only for a fixed number of terms.
A vector has 16 floats; a processor with narrower registers uses several for it.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16  # floats of a vector
BLOCKS = (4, 2, 1)  # vectors that are added up side by side, each in its own register

_FLOAT, _INT, _INT32 = ir.FloatType(), ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_BITS = ir.VectorType(_INT32, LANES)
_ANY = ir.Constant(_VECTOR, ir.Undefined)


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


def _data(context: Any, builder: Any, signature: Any, args: Any, position: int) -> Any:
    return context.make_array(signature.args[position])(context, builder, args[position]).data


def _vector_at(builder: Any, work: Any, position: Any) -> Any:
    return builder.bitcast(builder.gep(work, [position]), _VECTOR.as_pointer())


def _broadcast(builder: Any, number: Any) -> Any:
    """Return a vector with the number in every lane."""
    one = builder.insert_element(_ANY, number, _INT32(0))
    return builder.shuffle_vector(one, _ANY, ir.Constant(_BITS, None))


def _maximum(builder: Any, x: Any, floor: Any) -> Any:
    """Return max(x, floor). NaN in x propagates."""
    return builder.select(builder.fcmp_ordered(">", floor, x), floor, x)


def _take_second(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    work = _data(context, builder, signature, args, 0)
    _, out, source, n = args
    half = LANES // 2
    even = ir.Constant(ir.VectorType(_INT32, half), [2 * i for i in range(half)])
    pointer = ir.VectorType(_FLOAT, half).as_pointer()
    with cgutils.for_range_slice(builder, _INT(0), n, _INT(half), _INT) as (start, _):
        position = builder.add(source, builder.add(start, start))
        both = builder.load(_vector_at(builder, work, position), align=4)
        taken = builder.shuffle_vector(both, _ANY, even)
        target = builder.gep(work, [builder.add(out, start)])
        builder.store(taken, builder.bitcast(target, pointer), align=4)
    return context.get_dummy_value()


def _add_terms(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    arrays = {at: _data(context, builder, signature, args, at) for at in (0, 3, 4, 5)}
    _, out, n, _, _, _, first, last, bias, floor, mask, masked = args
    bias, floor = _broadcast(builder, bias), _broadcast(builder, floor)

    def vectors(start: Any, count: int, with_mask: bool) -> None:
        """Compute `count` vectors from `start` on: all terms, then floor and mask."""
        sums = [cgutils.alloca_once(builder, _VECTOR) for _ in range(count)]
        for total in sums:
            builder.store(bias, total)
        with cgutils.for_range_slice(builder, first, last, _INT(1), _INT) as (number, _):
            offset, coefficient, clip = (
                builder.load(builder.gep(arrays[at], [number])) for at in (3, 4, 5)
            )
            coefficient, clip = _broadcast(builder, coefficient), _broadcast(builder, clip)
            position = builder.add(builder.sext(offset, _INT), start)
            for which, total in enumerate(sums):
                at = builder.add(position, _INT(LANES * which))
                x = builder.load(_vector_at(builder, arrays[0], at), align=4)
                product = builder.fmul(coefficient, _maximum(builder, x, clip), flags=("contract",))
                added = builder.fadd(builder.load(total), product, flags=("contract",))
                builder.store(added, total)
        for which, total in enumerate(sums):
            at = builder.add(start, _INT(LANES * which))
            result = _maximum(builder, builder.load(total), floor)
            if with_mask:
                bits = builder.load(_vector_at(builder, arrays[0], builder.add(mask, at)), align=4)
                kept = builder.and_(builder.bitcast(result, _BITS), builder.bitcast(bits, _BITS))
                result = builder.bitcast(kept, _VECTOR)
            builder.store(result, _vector_at(builder, arrays[0], builder.add(out, at)), align=4)

    def strip(with_mask: bool) -> None:
        start = _INT(0)
        for count in BLOCKS:
            width = _INT(LANES * count)
            if count > 1:
                end = builder.sub(n, builder.and_(builder.sub(n, start), _INT(LANES * count - 1)))
            else:  # up to LANES - 1 more floats
                end = n
            with cgutils.for_range_slice(builder, start, end, width, _INT) as (at, _):
                vectors(at, count, with_mask)
            start = end

    with builder.if_else(masked) as (then, otherwise):
        with then:
            strip(True)
        with otherwise:
            strip(False)
    return context.get_dummy_value()
