"""Emits LLVM for vectors of numbers, as inner loops of training and deployed networks need them.

Numba decides by itself which loops become vector instructions, and does not for a sum over a number
of terms that is known only at run time. These helpers keep such sums in registers.

An arena is one long array, float32 or float64. A strip is a contiguous range of it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features

from .lanes import LANES

# Vectors that are computed side by side. Their sums stay in registers: AVX-512 has 32 of 16 float32
# numbers each. Elsewhere a vector takes two or four registers, and 8 vectors would be spilled.
_FEATURES = vars(config)["CPU_FEATURES"] or get_host_cpu_features()
BLOCK = 8 if "+avx512f" in _FEATURES else 4
AHEAD = 1024  # numbers between what is read and what is prefetched

_BYTE, _INT32, _INT = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_INDEX = ir.VectorType(_INT32, LANES)
_DOUBLE = ir.DoubleType()


def integer(value: int) -> Any:
    """Return an int64 constant."""
    return _INT(value)


class Emitter:
    """Writes one kernel, for arenas of one number type.

    context, builder: as numba hands them to an intrinsic.
    number: numba's type of the arena's numbers, float32 or float64.
    """

    def __init__(self, context: Any, builder: Any, number: Any):
        self.context, self.builder = context, builder
        self.number = ir.FloatType() if number == types.float32 else _DOUBLE
        self.vector = ir.VectorType(self.number, LANES)
        self.zero = ir.Constant(self.vector, [0.0] * LANES)
        self.any = ir.Constant(self.vector, ir.Undefined)

    # --- scalars, arrays, control flow ------------------------------------------------------------

    def data(self, signature: Any, args: Any, position: int) -> Any:
        """Return the pointer to an array argument's numbers."""
        array = self.context.make_array(signature.args[position])
        return array(self.context, self.builder, args[position]).data

    def field(self, table: Any, row: Any, width: int, column: int) -> Any:
        """Return table[row, column] of an int64 table with `width` columns."""
        at = self.builder.add(self.builder.mul(row, _INT(width)), _INT(column))
        return self.builder.load(self.builder.gep(table, [at]))

    def integer_at(self, array: Any, at: Any) -> Any:
        """Return array[at], of integers of any width, as int64."""
        return self.builder.sext(self.builder.load(self.builder.gep(array, [at])), _INT)

    def loop(self, first: Any, end: Any, step: int = 1) -> Any:
        """Return a context manager: a loop whose body gets (index, …)."""
        return cgutils.for_range_slice(self.builder, first, end, _INT(step), _INT)

    def affine(self, start: Any, row: Any, per_row: Any, column: Any, per_column: Any) -> Any:
        """Return start + row · per_row + column · per_column."""
        b = self.builder
        return b.add(start, b.add(b.mul(row, per_row), b.mul(column, per_column)))

    def blocks(self, count: Any, body: Callable[[Any, int, Any], None]) -> None:
        """Call body(first number, vectors, lanes) over a strip of `count` numbers.

        lanes: None, or which lanes of the one last vector are within the strip.
        """
        b, start = self.builder, _INT(0)
        for vectors in (BLOCK, 1):
            size = _INT(LANES * vectors)
            end = b.sub(count, b.srem(b.sub(count, start), size))
            with self.loop(start, end, LANES * vectors) as (at, _):
                body(at, vectors, None)
            start = end
        rest = b.sub(count, start)
        with b.if_then(b.icmp_signed(">", rest, _INT(0))):
            some = ir.Constant(_INDEX, ir.Undefined)
            some = b.insert_element(some, b.trunc(rest, _INT32), _INT32(0))
            limit = b.shuffle_vector(some, some, ir.Constant(_INDEX, None))
            lanes = b.icmp_signed("<", ir.Constant(_INDEX, list(range(LANES))), limit)
            body(start, 1, lanes)

    # --- vectors ----------------------------------------------------------------------------------

    def broadcast(self, number: Any) -> Any:
        """Return a vector with the number in every lane."""
        one = self.builder.insert_element(self.any, number, _INT32(0))
        return self.builder.shuffle_vector(one, self.any, ir.Constant(_INDEX, None))

    def broadcast_at(self, array: Any, at: Any) -> Any:
        """Return a vector with array[at] in every lane."""
        return self.broadcast(self.builder.load(self.builder.gep(array, [at])))

    def _pointer(self, base: Any, at: Any, vector: Any = None) -> Any:
        pointer = (vector or self.vector).as_pointer()
        return self.builder.bitcast(self.builder.gep(base, [at]), pointer)

    def load(self, base: Any, at: Any) -> Any:
        return self.builder.load(self._pointer(base, at), align=4)

    def store(self, value: Any, base: Any, at: Any) -> None:
        """Store a vector, of any number of lanes."""
        self.builder.store(value, self._pointer(base, at, value.type), align=4)

    def even(self, value: Any) -> Any:
        """Return the lanes 0, 2, 4, … of a vector, half as many."""
        lanes = ir.Constant(ir.VectorType(_INT32, LANES // 2), list(range(0, LANES, 2)))
        return self.builder.shuffle_vector(value, self.any, lanes)

    def bitwise_and(self, x: Any, y: Any) -> Any:
        """Return the bitwise and of two vectors of float32."""
        bits = self.builder.and_(self.builder.bitcast(x, _INDEX), self.builder.bitcast(y, _INDEX))
        return self.builder.bitcast(bits, self.vector)

    def load_block(self, base: Any, at: Any, vectors: int) -> list[Any]:
        """Return consecutive vectors, and prefetch those that the loop will read later."""
        loaded = []
        for j in range(vectors):
            place = self.builder.add(at, _INT(LANES * j))
            loaded.append(self.load(base, place))
            self._prefetch(base, place)
        return loaded

    def _prefetch(self, base: Any, at: Any) -> None:
        signature = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), _INT32, _INT32, _INT32])
        function = cgutils.get_or_insert_function(
            self.builder.module, signature, "llvm.prefetch.p0"
        )
        later = self.builder.gep(base, [self.builder.add(at, _INT(AHEAD))])
        pointer = self.builder.bitcast(later, _BYTE.as_pointer())
        self.builder.call(function, [pointer, _INT32(0), _INT32(2), _INT32(1)])

    def multiply_add(self, x: Any, y: Any, z: Any) -> Any:
        """Return x · y + z, in one rounding where the processor can."""
        product = self.builder.fmul(x, y, flags=("contract",))
        return self.builder.fadd(product, z, flags=("contract",))

    def maximum(self, x: Any, floor: Any) -> Any:
        """Return max(x, floor). NaN in x propagates."""
        return self.builder.select(self.builder.fcmp_ordered(">", floor, x), floor, x)

    def minimum(self, x: Any, ceiling: Any) -> Any:
        """Return min(x, ceiling). NaN in x propagates."""
        return self.builder.select(self.builder.fcmp_ordered("<", ceiling, x), ceiling, x)

    def clamp(self, values: Sequence[Any], parameters: Any, row: Any) -> list[Any]:
        """Return min(max(a · x + b, low), high) of each; a, b, low, high: a row of parameters."""
        first = self.builder.mul(row, _INT(4))
        a, b, low, high = (
            self.broadcast_at(parameters, self.builder.add(first, _INT(j))) for j in range(4)
        )
        return [self.minimum(self.maximum(self.multiply_add(a, x, b), low), high) for x in values]

    def where_above(self, condition: Any, threshold: Any, value: Any) -> Any:
        """Return value where condition > threshold, else 0."""
        above = self.builder.fcmp_ordered(">", condition, threshold)
        return self.builder.select(above, value, self.zero)

    def keep(self, value: Any, lanes: Any) -> Any:
        """Return the value in the given lanes, 0 elsewhere; all of it where lanes is None."""
        return value if lanes is None else self.builder.select(lanes, value, self.zero)

    def sum(self, values: Sequence[Any]) -> Any:
        """Return the sum of vectors, pairwise."""
        rest = list(values)
        while len(rest) > 1:
            paired = [self.builder.fadd(x, y) for x, y in zip(rest[::2], rest[1::2], strict=False)]
            rest = paired + ([rest[-1]] if len(rest) % 2 else [])
        return rest[0]

    # --- variables --------------------------------------------------------------------------------

    def variable(self, value: Any) -> Any:
        """Return a new variable that holds a vector."""
        place = cgutils.alloca_once(self.builder, self.vector)
        self.builder.store(value, place)
        return place

    def get(self, place: Any) -> Any:
        return self.builder.load(place)

    def set(self, place: Any, value: Any) -> None:
        self.builder.store(value, place)

    def add_to(self, place: Any, value: Any) -> None:
        self.builder.store(self.builder.fadd(self.builder.load(place), value), place)

    def add_to_row(self, array: Any, row: Any, value: Any) -> None:
        """Add a vector to a row of LANES numbers."""
        at = self.builder.mul(row, _INT(LANES))
        self.store(self.builder.fadd(self.load(array, at), value), array, at)

    def flush(self, place: Any, sums: Any, row: int) -> None:
        """Add a variable to a row of LANES float64 numbers, and set it to 0."""
        self.add_to_doubles(self.get(place), sums, _INT(LANES * row))
        self.set(place, self.zero)

    def add_to_doubles(self, value: Any, sums: Any, at: Any) -> None:
        """Add a vector to sums[at …], float64."""
        doubles = ir.VectorType(_DOUBLE, LANES)
        pointer = self.builder.gep(sums, [at])
        pointer = self.builder.bitcast(pointer, doubles.as_pointer())
        if self.number != _DOUBLE:
            value = self.builder.fpext(value, doubles)
        total = self.builder.fadd(self.builder.load(pointer, align=8), value)
        self.builder.store(total, pointer, align=8)
