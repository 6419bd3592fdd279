"""The inner loop of batch norm's backward pass, over the cells of one plane."""

from typing import Any

from numba import types
from numba.extending import intrinsic

from dstbench.compiled.lanes import LANES
from dstbench.compiled.vectors import Emitter, integer

_INT = types.int64


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
    """gradients[out + i] = u · gradients[source + i] + v · values[plane + i] + t, of all cells.

    images, batch: images of the batch, and numbers of a cell, which may be more.
    """
    number = gradients.dtype
    arguments = (gradients, _INT, _INT, _INT, values, _INT, _INT, _INT, number, number, number)
    return types.void(*arguments), _generate_norm


# Compiled code calls it without the first argument.
norm_back: Any = _norm_back
