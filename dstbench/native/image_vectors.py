"""What the inner loops of dynamic activations share: a walk over vectors of images, and its parts.

Coefficients are of each image, and so are along a strip: vectors, where other loops have numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dstbench.compiled.lanes import LANES
from dstbench.compiled.vectors import Emitter, integer
from dstbench.native.loops import Zone
from dstbench.native.tables import (
    Z_COLUMNS,
    Z_COUNT,
    Z_OUT,
    Z_OUT_COLUMN,
    Z_OUT_ROW,
    Z_OWN,
    Z_OWN_COLUMN,
    Z_OWN_ROW,
    Z_ROWS,
    Z_SECOND,
)


@dataclass(frozen=True)
class Vector:
    """LANES images of a cell.

    x: what the activation reads.
    image: number of the first one.
    place: of the first one in a plane.
    lanes: None, or which lanes are images.
    """

    x: Any
    image: Any
    place: Any
    lanes: Any


def each_vector(
    emit: Emitter,
    zone: Zone,
    values: Any,
    parameters: Any,
    levels: Any,
    body: Callable[[Vector], None],
    after_row: Callable[[], None],
) -> None:
    """Call body for all vectors of a zone's pixels; it has one source, and a level."""
    b = emit.builder
    place_of = (zone(Z_OUT), zone(Z_OUT_ROW), zone(Z_OUT_COLUMN))
    level_of = (zone(Z_OWN), zone(Z_OWN_ROW), zone(Z_OWN_COLUMN))
    entry, count = zone(Z_SECOND), zone(Z_COUNT)
    with emit.loop(integer(0), zone(Z_ROWS)) as (row, _):
        with emit.loop(integer(0), zone(Z_COLUMNS)) as (column, _):
            place = emit.affine(place_of[0], row, place_of[1], column, place_of[2])
            at_level = emit.affine(level_of[0], row, level_of[1], column, level_of[2])
            level = emit.broadcast_at(levels, at_level)
            parameter, source = zone.entry(entry, row, column)

            def block(
                at: Any,
                vectors: int,
                lanes: Any,
                place: Any = place,
                level: Any = level,
                parameter: Any = parameter,
                source: Any = source,
            ) -> None:
                read = emit.load_block(values, b.add(source, at), vectors)
                for j, x in enumerate(emit.clamp(read, parameters, parameter)):
                    image = b.add(at, integer(LANES * j))
                    body(Vector(b.fadd(x, level), image, b.add(place, image), lanes))

            emit.blocks(count, block)
        after_row()


class Terms:
    """The two terms of the maximum. coefficients: a₁ of image 0; `stride` numbers further a₂, …"""

    def __init__(self, emit: Emitter, coefficients: Any, first: Any, stride: Any):
        self.emit, self.coefficients = emit, coefficients
        b = emit.builder
        self.starts = [b.add(first, b.mul(stride, integer(j))) for j in range(4)]

    def load(self, vector: Vector) -> tuple[Any, Any, Any, Any]:
        """Return a₁, a₂ and both terms."""
        emit, b = self.emit, self.emit.builder
        a1, a2, b1, b2 = (
            emit.load(self.coefficients, b.add(start, vector.image)) for start in self.starts
        )
        return a1, a2, emit.multiply_add(a1, vector.x, b1), emit.multiply_add(a2, vector.x, b2)


class ImageSums:
    """Rows of sums over pixels, one number an image; added to float64 ones after each row."""

    def __init__(self, emit: Emitter, sums: Any, totals: Any, batch: Any, rows: int):
        self.emit, self.sums, self.totals, self.batch, self.rows = emit, sums, totals, batch, rows

    def add(self, row: int, vector: Vector, value: Any) -> None:
        emit, b = self.emit, self.emit.builder
        at = b.add(b.mul(self.batch, integer(row)), vector.image)
        emit.store(b.fadd(emit.load(self.sums, at), emit.keep(value, vector.lanes)), self.sums, at)

    def flush(self) -> None:
        emit, b = self.emit, self.emit.builder
        count = b.sdiv(b.mul(self.batch, integer(self.rows)), integer(LANES))
        with emit.loop(integer(0), count) as (k, _):
            at = b.mul(k, integer(LANES))
            emit.add_to_doubles(emit.load(self.sums, at), self.totals, at)
            emit.store(emit.zero, self.sums, at)
