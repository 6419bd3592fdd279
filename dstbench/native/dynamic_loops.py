"""The inner loops of dynamic activations, y = max(a₁x + b₁, a₂x + b₂) + r · max(x, 0)."""

from typing import Any

from numba import types
from numba.extending import intrinsic

from dstbench.compiled.vectors import Emitter, integer
from dstbench.native.image_vectors import ImageSums, Terms, Vector, each_vector
from dstbench.native.loops import SUM, Zone

_INT = types.int64


def _generate_means(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    emit = Emitter(context, builder, signature.args[0].dtype)
    values, zones, entries, parameters, levels, sums, totals = (
        emit.data(signature, args, k) for k in (0, 1, 3, 4, 5, 6, 7)
    )
    zone, found = Zone(emit, zones, args[2], entries), ImageSums(emit, sums, totals, args[8], 1)
    repeats = emit.broadcast(args[9])

    def body(vector: Vector) -> None:
        found.add(0, vector, builder.fmul(vector.x, repeats))

    each_vector(emit, zone, values, parameters, levels, body, found.flush)
    return context.get_dummy_value()


@intrinsic
def _sum_pixels(
    typing: Any,
    values: Any,
    zones: Any,
    zone: Any,
    entries: Any,
    parameters: Any,
    levels: Any,
    sums: Any,
    totals: Any,
    batch: Any,
    repeats: Any,
) -> Any:
    """Add Σ x over the pixels of a zone to the first row of `totals`.

    batch: numbers of a cell. repeats: pixels of each cell.
    """
    arguments = (values, zones, _INT, entries, parameters, levels, sums, totals, _INT)
    return types.void(*arguments, values.dtype), _generate_means


def _generate_activation(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    emit = Emitter(context, builder, signature.args[0].dtype)
    values, zones, entries, parameters, levels, coefficients, sums, totals = (
        emit.data(signature, args, k) for k in (0, 1, 3, 4, 5, 6, 11, 12)
    )
    terms, fraction = Terms(emit, coefficients, args[7], args[8]), emit.broadcast(args[9])
    found, keeps_sums = ImageSums(emit, sums, totals, args[13], 1), args[14]
    repeats = emit.broadcast(args[15])

    def body(vector: Vector) -> None:
        _, _, first, second = terms.load(vector)
        positive = emit.maximum(vector.x, emit.zero)
        y = emit.multiply_add(fraction, positive, emit.maximum(first, second))
        emit.store(y, values, builder.add(args[10], vector.place))
        with builder.if_then(keeps_sums):
            found.add(0, vector, builder.fmul(y, repeats))

    def after_row() -> None:
        with builder.if_then(keeps_sums):
            found.flush()

    zone = Zone(emit, zones, args[2], entries)
    each_vector(emit, zone, values, parameters, levels, body, after_row)
    return context.get_dummy_value()


@intrinsic
def _activate(
    typing: Any,
    values: Any,
    zones: Any,
    zone: Any,
    entries: Any,
    parameters: Any,
    levels: Any,
    coefficients: Any,
    first: Any,
    stride: Any,
    fraction: Any,
    out: Any,
    sums: Any,
    totals: Any,
    batch: Any,
    keeps_sums: Any,
    repeats: Any,
) -> Any:
    """values[out + …] = y, of one zone; if keeps_sums, add Σ y to the first row of `totals`.

    first, stride: where a₁ of image 0 is, and how far it is from there to a₂, b₁, b₂.
    fraction: r.
    repeats: pixels of each cell.
    """
    number = values.dtype
    arguments = (values, zones, _INT, entries, parameters, levels, coefficients, _INT, _INT)
    further = (number, _INT, sums, totals, _INT, types.boolean, number)
    return types.void(*arguments, *further), _generate_activation


def _generate_back(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    emit = Emitter(context, builder, signature.args[0].dtype)
    values, zones, entries, parameters, levels, coefficients, gradients, addends = (
        emit.data(signature, args, k) for k in (0, 1, 3, 4, 5, 6, 10, 12)
    )
    terms, fraction = Terms(emit, coefficients, args[7], args[8]), emit.broadcast(args[9])
    image_sums, totals, sums = (emit.data(signature, args, k) for k in (14, 15, 17))
    found = ImageSums(emit, image_sums, totals, args[16], 4)
    addend, total = args[13], emit.variable(emit.zero)
    repeats = emit.broadcast(args[18])
    has_addend = builder.icmp_signed(">=", addend, integer(0))
    gradient = emit.variable(emit.zero)

    def body(vector: Vector) -> None:
        a1, a2, first, second = terms.load(vector)
        place = builder.add(args[11], vector.place)
        emit.set(gradient, emit.load(gradients, place))
        with builder.if_then(has_addend):
            added = emit.load(addends, builder.add(addend, vector.image))
            emit.add_to(gradient, builder.fmul(added, repeats))
        g = emit.get(gradient)
        leads = builder.fcmp_ordered(">", first, second)
        of_first = builder.select(leads, g, emit.zero)
        of_second = builder.select(leads, emit.zero, g)
        found.add(0, vector, builder.fmul(of_first, vector.x))
        found.add(1, vector, builder.fmul(of_second, vector.x))
        found.add(2, vector, of_first)
        found.add(3, vector, of_second)
        slope = builder.select(leads, a1, a2)
        slope = builder.fadd(slope, emit.where_above(vector.x, emit.zero, fraction))
        d = emit.keep(builder.fmul(g, slope), vector.lanes)
        emit.store(d, gradients, place)
        emit.add_to(total, d)

    def after_row() -> None:
        found.flush()
        emit.flush(total, sums, SUM)

    zone = Zone(emit, zones, args[2], entries)
    each_vector(emit, zone, values, parameters, levels, body, after_row)
    return context.get_dummy_value()


@intrinsic
def _activation_back(
    typing: Any,
    values: Any,
    zones: Any,
    zone: Any,
    entries: Any,
    parameters: Any,
    levels: Any,
    coefficients: Any,
    first: Any,
    stride: Any,
    fraction: Any,
    gradients: Any,
    out: Any,
    addends: Any,
    addend: Any,
    image_sums: Any,
    totals: Any,
    batch: Any,
    sums: Any,
    repeats: Any,
) -> Any:
    """Replace y's gradient by x's, without what the means add, in one zone.

    out: where the gradient is; repeats · addends[addend + i] of image i is added to it first if
        addend ≥ 0.
    totals: to its rows, the gradients of a₁, a₂, b₁, b₂ are added.
    sums: to its first row, x's gradient is added.
    Others as in `_activate`.
    """
    number = values.dtype
    arguments = (values, zones, _INT, entries, parameters, levels, coefficients, _INT, _INT)
    further = (number, gradients, _INT, addends, _INT, image_sums, totals, _INT, sums, number)
    return types.void(*arguments, *further), _generate_back


# Compiled code calls them without the first argument.
sum_pixels: Any = _sum_pixels
activate: Any = _activate
activation_back: Any = _activation_back
