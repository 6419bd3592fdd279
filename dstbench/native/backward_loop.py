"""The inner loop of a backward pass, over the pixels of one zone of a channel's gradient."""

from typing import Any

from numba import types
from numba.extending import intrinsic

from dstbench.compiled.lanes import LANES
from dstbench.compiled.vectors import Emitter, integer
from dstbench.native.loops import SUM, Zone
from dstbench.native.tables import (
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
)

_INT = types.int64


def _generate_back(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    emit = Emitter(context, builder, signature.args[0].dtype)
    gradients, values, zones, entries, own, weights, passed, sources, products, sums, addends = (
        emit.data(signature, args, k) for k in (0, 1, 2, 4, 5, 11, 12, 14, 15, 16, 20)
    )
    addend, repeats = args[21], emit.broadcast(args[22])
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
                    added = emit.load(addends, add(add(addend, at), integer(LANES * j)))
                    emit.set(place, builder.fmul(added, repeats))
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
    repeats: Any,
) -> Any:
    """One zone of a channel's gradient d; y is the channel's value, from row `border` of `own`.

    d = [incoming: gradients[out + offset] + a, where each passed channel is positive]
        + slope · y + level + Σ weight · g over two sorts of entries;
    stored where y > threshold, else 0. a is repeats · addends[addend + i] for image i if
    addend ≥ 0, in a zone whose strips are of one cell.

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
        number,
    )
    return types.void(*arguments), _generate_back


# Compiled code calls it without the first argument.
back: Any = _back
