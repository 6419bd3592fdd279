"""The tables of the float32 interpreter: one step for each plane, in the order of a schedule."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dstbench.deployment.c_export.arena import Arena
from dstbench.deployment.c_export.tables import Table
from dstbench.deployment.runtime.packed_arrays import pack_planes
from dstbench.deployment.runtime.program import Kind, Program

_IMAGE, _CONSTANT = len(Kind), len(Kind) + 1  # kinds of steps that are no operation


@dataclass(frozen=True)
class StepTables:
    """What an interpreter's steps read.

    tables: the tables of every interpreter, without numbers of planes.
    terms: of LINEAR steps, in their order: numbers of the program's terms.
    linear: of LINEAR steps, in their order: numbers of the program's operations.
    observed: the table that only an observer reads.
    """

    tables: list[Table]
    terms: np.ndarray
    linear: np.ndarray
    observed: Table


def float_tables(program: Program, order: Sequence[int], arena: Arena) -> tuple[list[Table], Table]:
    """Return all tables, and the one that only an observer reads.

    order: of the planes.
    arena: their places.
    """
    step_of = {plane: step for step, plane in enumerate(order)}
    ends = np.cumsum(program.terms.astype(np.int64))
    coefficients, shifts = program.coefficients(), program.shifts.astype(np.int64).reshape(-1, 2)
    sizes = program.sizes()
    shapes, taps = _Rows(), _Rows()
    shape_of, planes, tap_of, factors, counts, bias, operation = [], [], [], [], [], [], []
    constants = []
    for plane in order:
        number = plane - program.sources
        if number < 0:
            constant = plane - program.image_shape[0]
            if constant < 0:
                planes.append(plane)
                shape_of.append(shapes.row((_IMAGE, 0, *sizes[plane], *[0] * 8)))
            else:
                packed = program.constants[constant]
                constants.append(packed)
                distinct = _distinct(packed)
                shape_of.append(shapes.row((_CONSTANT, 0, *sizes[plane], *[0] * 6, *distinct)))
            operation.append(0)
            continue
        terms = range(int(ends[number] - program.terms[number]), int(ends[number]))
        kind = int(program.kind[number])
        shape_of.append(shapes.row(_shape(program, number, sizes)))
        operation.append(number)
        planes += [step_of[int(program.plane[term])] for term in terms]
        for term in terms:
            if kind in (Kind.LINEAR, Kind.MEAN):
                one = kind == Kind.LINEAR and coefficients[term] == 1
                shift = shifts[int(program.shift[term])] if kind == Kind.LINEAR else (0, 0)
                tap_of.append(taps.row((*shift, int(one), float(program.clip[term]))))
            if kind == Kind.LINEAR and coefficients[term] != 1:
                factors.append(coefficients[term])
        if kind == Kind.LINEAR:
            counts.append(len(terms))
            bias.append(program.bias[number])
    rows = pack_planes(constants)
    count = len(sizes)
    logits = [step_of[plane] for plane in range(count - program.classes, count)]
    integers = {
        "dst_place": [arena.starts[plane] for plane in order],
        "dst_shape_of": shape_of,
        "dst_planes": planes,
        "dst_taps": tap_of,
        "dst_counts": counts,
        "dst_tap_rows": taps.column(0),
        "dst_tap_columns": taps.column(1),
        "dst_tap_one": taps.column(2),
        "dst_constant_rows": rows["planes.rows"],
        "dst_constant_columns": rows["planes.columns"],
        "dst_logits": logits,
    }
    floats = {
        "dst_tap_clip": taps.column(3),
        "dst_coefficients": factors,
        "dst_bias": bias,
        "dst_constants": rows["planes.numbers"],
        "dst_means": program.about["mean"],
        "dst_stds": program.about["std"],
    }
    tables = [
        Table("dst_shapes", np.array(shapes.all, np.int64).reshape(-1, 12), "dst_shape"),
        *(Table(name, np.array(values, np.int64)) for name, values in integers.items()),
        *(Table(name, np.array(values, np.float32)) for name, values in floats.items()),
    ]
    return tables, Table("dst_operation", np.array(operation, np.int64))


def _shape(program: Program, number: int, sizes: np.ndarray) -> tuple[int, ...]:
    """Return a row of `dst_shapes`; see the columns in the interpreter."""
    kind, relu = int(program.kind[number]), int(program.relu[number])
    out = sizes[program.sources + number]
    if kind == Kind.LINEAR:
        return kind, relu, *out, *[0] * 8
    last = int(np.sum(program.terms[: number + 1], dtype=np.int64))
    source = sizes[int(program.plane[last - 1])]
    first, stride, window = program.settings[int(program.setting[number])][2:].reshape(3, 2)
    if kind == Kind.MAXIMUM:
        first = -first
    return kind, 0, *out, *source, *first, *stride, *window


def _distinct(plane: np.ndarray) -> tuple[int, int]:
    """Return how many distinct rows and columns a plane is stored as."""
    packed = pack_planes([plane])
    return int(packed["planes.rows"].max()) + 1, int(packed["planes.columns"].max()) + 1


class _Rows:
    """Distinct tuples, numbered in order of appearance."""

    def __init__(self) -> None:
        self.numbers: dict[tuple, int] = {}

    def row(self, values: tuple) -> int:
        return self.numbers.setdefault(
            tuple(v.item() if hasattr(v, "item") else v for v in values), len(self.numbers)
        )

    @property
    def all(self) -> list[tuple]:
        return list(self.numbers)

    def column(self, number: int) -> list:
        return [row[number] for row in self.numbers]
