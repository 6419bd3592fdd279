"""The inner loops of a forward pass, over the pixels of a zone: sums of sources, in registers.

A row of parameters is (a, b, low, high): a source's value is min(max(a · v + b, low), high).
"""

from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import intrinsic

from dstbench.compiled.lanes import LANES
from dstbench.compiled.vectors import Emitter, integer
from dstbench.native.tables import (
    E_COLUMN,
    E_OFFSET,
    E_PARAMETER,
    E_ROW,
    ENTRY,
    Z_COLUMNS,
    Z_COUNT,
    Z_ENTRY,
    Z_OUT,
    Z_OUT_COLUMN,
    Z_OUT_ROW,
    Z_OWN,
    Z_OWN_COLUMN,
    Z_OWN_ROW,
    Z_ROWS,
    Z_SECOND,
    Z_THIRD,
    ZONE,
)

_INT = types.int64
SUM, SQUARES = range(2)  # rows of the sums over a zone


class Zone:
    """The fields of one zone, and where its entries are."""

    def __init__(self, emit: Emitter, zones: Any, zone: Any, entries: Any):
        self.emit, self.zones, self.zone, self.entries = emit, zones, zone, entries

    def __call__(self, column: int) -> Any:
        return self.emit.field(self.zones, self.zone, ZONE, column)

    def entry(self, e: Any, row: Any, column: Any) -> tuple[Any, Any]:
        """Return an entry's row of parameters, and where it reads at a row and column."""
        parameter, start, per_row, per_column = (
            self.emit.field(self.entries, e, ENTRY, k)
            for k in (E_PARAMETER, E_OFFSET, E_ROW, E_COLUMN)
        )
        return parameter, self.emit.affine(start, row, per_row, column, per_column)


def _gather(stores: bool, relu: bool) -> Callable[..., Any]:
    """Return the loop of a forward zone."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = Emitter(context, builder, signature.args[0].dtype)
        values, zones, entries, parameters, levels, sums = (
            emit.data(signature, args, k) for k in (0, 1, 3, 4, 5, 7)
        )
        zone = Zone(emit, zones, args[2], entries)
        add, one = builder.add, integer
        first, second, end = zone(Z_ENTRY), zone(Z_SECOND), zone(Z_THIRD)
        place_of = (zone(Z_OUT), zone(Z_OUT_ROW), zone(Z_OUT_COLUMN))
        level_of = (zone(Z_OWN), zone(Z_OWN_ROW), zone(Z_OWN_COLUMN))
        count = zone(Z_COUNT)
        total, squares = emit.variable(emit.zero), emit.variable(emit.zero)

        def pixel(row: Any, column: Any) -> None:
            out = emit.affine(place_of[0], row, place_of[1], column, place_of[2])
            at_level = emit.affine(level_of[0], row, level_of[1], column, level_of[2])
            level = builder.load(builder.gep(levels, [at_level]))
            start = emit.broadcast(builder.fsub(level, args[6]))

            def block(at: Any, vectors: int, lanes: Any) -> None:
                results = [emit.variable(start) for _ in range(vectors)]
                with emit.loop(first, second) as (e, _):
                    parameter, source = zone.entry(e, row, column)
                    weight = emit.broadcast_at(parameters, builder.mul(parameter, one(4)))
                    read = emit.load_block(values, add(source, at), vectors)
                    for x, place in zip(read, results, strict=True):
                        emit.set(place, emit.multiply_add(weight, x, emit.get(place)))
                with emit.loop(second, end) as (e, _):
                    parameter, source = zone.entry(e, row, column)
                    read = emit.load_block(values, add(source, at), vectors)
                    for x, place in zip(
                        emit.clamp(read, parameters, parameter), results, strict=True
                    ):
                        emit.add_to(place, x)
                done = [emit.get(place) for place in results]
                if relu:
                    done = [emit.maximum(x, emit.zero) for x in done]
                if stores:
                    for j, x in enumerate(done):
                        emit.store(x, values, add(add(out, at), one(LANES * j)))
                done = [emit.keep(x, lanes) for x in done]
                emit.add_to(total, emit.sum(done))
                square = emit.get(squares)
                for x in done:
                    square = emit.multiply_add(x, x, square)
                emit.set(squares, square)

            emit.blocks(count, block)

        with emit.loop(integer(0), zone(Z_ROWS)) as (row, _):
            with emit.loop(integer(0), zone(Z_COLUMNS)) as (column, _):
                pixel(row, column)
            emit.flush(total, sums, SUM)
            emit.flush(squares, sums, SQUARES)
        return context.get_dummy_value()

    @intrinsic
    def gather(
        typing: Any,
        values: Any,
        zones: Any,
        zone: Any,
        entries: Any,
        parameters: Any,
        levels: Any,
        shift: Any,
        sums: Any,
    ) -> Any:
        """r = level − shift + Σ a · v over the first sort of entries + Σ clipped over the second.

        sums: rows of LANES float64, to which Σ r and Σ r² are added.
        """
        arguments = (values, zones, _INT, entries, parameters, levels, values.dtype, sums)
        return types.void(*arguments), generate

    return gather


store_sum: Any = _gather(stores=True, relu=False)
store_relu: Any = _gather(stores=True, relu=True)
only_sums: Any = _gather(stores=False, relu=False)
