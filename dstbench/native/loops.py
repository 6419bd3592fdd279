"""The inner loops of a step, each over the pixels of one zone: sums of sources, kept in registers.

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
    Z_END,
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


def _generate_back(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    emit = Emitter(context, builder, signature.args[0].dtype)
    gradients, values, zones, entries, own, weights, passed, sources, products, sums, addends = (
        emit.data(signature, args, k) for k in (0, 1, 2, 4, 5, 11, 12, 14, 15, 16, 20)
    )
    addend = args[21]
    has_addend = builder.icmp_signed(">=", addend, integer(0))
    border, incoming, offset, passed_count = args[6], args[7], args[8], args[13]
    slope, level = emit.broadcast(args[9]), emit.broadcast(args[10])
    threshold = emit.broadcast(args[17])
    zone = Zone(emit, zones, args[3], entries)
    add, mul = builder.add, builder.mul
    place_of = (zone(Z_OUT), zone(Z_OUT_ROW), zone(Z_OUT_COLUMN))
    own_of = (zone(Z_OWN), zone(Z_OWN_ROW), zone(Z_OWN_COLUMN))
    bounds = [zone(k) for k in (Z_ENTRY, Z_SECOND, Z_THIRD, Z_END)]
    count = zone(Z_COUNT)
    total = emit.variable(emit.zero)

    def pixel(row: Any, column: Any) -> None:
        out = emit.affine(place_of[0], row, place_of[1], column, place_of[2])
        at_own = emit.affine(own_of[0], row, own_of[1], column, own_of[2])

        def block(at: Any, vectors: int, lanes: Any) -> None:
            stored = emit.load_block(values, add(at_own, at), vectors)
            value = emit.clamp(stored, own, border)
            d = [emit.variable(emit.zero) for _ in range(vectors)]
            with builder.if_then(has_addend):
                for j, place in enumerate(d):
                    emit.set(place, emit.load(addends, add(add(addend, at), integer(LANES * j))))
            with builder.if_then(incoming):
                arriving = emit.load_block(gradients, add(add(out, offset), at), vectors)
                for x, place in zip(arriving, d, strict=True):
                    emit.add_to(place, x)
                with emit.loop(integer(0), passed_count) as (k, _):
                    seen = emit.clamp(stored, passed, add(mul(k, integer(2)), border))
                    kept = []
                    for x, place in zip(seen, d, strict=True):
                        emit.set(place, emit.where_above(x, emit.zero, emit.get(place)))
                        kept.append(emit.keep(emit.get(place), lanes))
                    emit.add_to_row(products, k, emit.sum(kept))
            for y, place in zip(value, d, strict=True):
                emit.add_to(place, emit.multiply_add(slope, y, level))
            for first, end, of_taps in ((0, 1, False), (1, 2, True)):
                with emit.loop(bounds[first], bounds[end]) as (e, _):
                    k, source = zone.entry(e, row, column)
                    weight = emit.broadcast_at(weights, k)
                    read = emit.load_block(gradients, add(source, at), vectors)
                    for g, place in zip(read, d, strict=True):
                        emit.set(place, emit.multiply_add(weight, g, emit.get(place)))
                    if of_taps:
                        found = [builder.fmul(g, y) for g, y in zip(read, value, strict=True)]
                        found_sum = emit.keep(emit.sum(found), lanes)
                        emit.add_to_row(products, add(k, args[18]), found_sum)
            done = []
            for j, (y, place) in enumerate(zip(value, d, strict=True)):
                kept = emit.keep(emit.where_above(y, threshold, emit.get(place)), lanes)
                emit.store(kept, gradients, add(add(out, at), integer(LANES * j)))
                done.append(kept)
            emit.add_to(total, emit.sum(done))
            with emit.loop(bounds[2], bounds[3]) as (e, _):
                k, source = zone.entry(e, row, column)
                read = emit.load_block(values, add(source, at), vectors)
                seen = emit.clamp(read, sources, k)
                pairs = [builder.fmul(x, y) for x, y in zip(done[::2], seen[::2], strict=True)]
                for j, (x, y) in enumerate(zip(done[1::2], seen[1::2], strict=True)):
                    pairs[j] = emit.multiply_add(x, y, pairs[j])
                half = builder.sdiv(k, integer(2))
                emit.add_to_row(products, add(half, args[19]), emit.keep(emit.sum(pairs), lanes))

        emit.blocks(count, block)

    with emit.loop(integer(0), zone(Z_ROWS)) as (row, _):
        with emit.loop(integer(0), zone(Z_COLUMNS)) as (column, _):
            pixel(row, column)
        emit.flush(total, sums, SUM)
    return context.get_dummy_value()


@intrinsic
def _back(
    typing: Any,
    gradients: Any,
    values: Any,
    zones: Any,
    zone: Any,
    entries: Any,
    own: Any,
    border: Any,
    incoming: Any,
    offset: Any,
    slope: Any,
    level: Any,
    weights: Any,
    passed: Any,
    passed_count: Any,
    sources: Any,
    products: Any,
    sums: Any,
    threshold: Any,
    first_reader: Any,
    first_source: Any,
    addends: Any,
    addend: Any,
) -> Any:
    """One zone of a channel's gradient d; y is the channel's value, from row `border` of `own`.

    d = [incoming: gradients[out + offset] + a, where each passed channel is positive]
        + slope · y + level + Σ weight · g over two sorts of entries;
    stored where y > threshold, else 0. a is addends[addend + i] for image i if addend ≥ 0, in a
    zone whose strips are of one pixel.

    Added to rows of `products`, LANES numbers each: for passed channel k (row k), the gradient that
    passes it; for an entry of the second sort (row first_reader + its parameter), Σ g · y; for one
    of the third sort, a source of the channel (row first_source + half its parameter), Σ d · v.
    Σ d is added to `sums`.
    """
    number = gradients.dtype
    arguments = (
        gradients,
        values,
        zones,
        _INT,
        entries,
        own,
        _INT,
        types.boolean,
        _INT,
        number,
        number,
        weights,
        passed,
        _INT,
        sources,
        products,
        sums,
        number,
        _INT,
        _INT,
        addends,
        _INT,
    )
    return types.void(*arguments), _generate_back


def _generate_norm(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    emit = Emitter(context, builder, signature.args[0].dtype)
    gradients, values = emit.data(signature, args, 0), emit.data(signature, args, 4)
    out, source, pixels, plane, images, batch = (args[k] for k in (1, 2, 3, 5, 6, 7))
    u, v, t = (emit.broadcast(args[k]) for k in (8, 9, 10))
    add = builder.add
    whole = builder.icmp_signed("==", images, batch)
    strips = builder.select(whole, integer(1), pixels)
    count = builder.select(whole, builder.mul(pixels, batch), images)

    with emit.loop(integer(0), strips) as (strip, _):
        start = builder.mul(strip, batch)

        def block(at: Any, vectors: int, lanes: Any) -> None:
            for j in range(vectors):
                k = add(add(start, at), integer(LANES * j))
                z = emit.load(values, add(plane, k))
                d = emit.load(gradients, add(source, k))
                result = emit.multiply_add(u, d, emit.multiply_add(v, z, t))
                emit.store(emit.keep(result, lanes), gradients, add(out, k))

        emit.blocks(count, block)
    return context.get_dummy_value()


@intrinsic
def _norm_back(
    typing: Any,
    gradients: Any,
    out: Any,
    source: Any,
    pixels: Any,
    values: Any,
    plane: Any,
    images: Any,
    batch: Any,
    u: Any,
    v: Any,
    t: Any,
) -> Any:
    """gradients[out + i] = u · gradients[source + i] + v · values[plane + i] + t, of all pixels.

    images, batch: images of the batch, and numbers of a pixel, which may be more.
    """
    number = gradients.dtype
    arguments = (gradients, _INT, _INT, _INT, values, _INT, _INT, _INT, number, number, number)
    return types.void(*arguments), _generate_norm


# Compiled code calls them without the first argument.
back: Any = _back
norm_back: Any = _norm_back
