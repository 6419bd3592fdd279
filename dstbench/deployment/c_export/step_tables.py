"""The tables of a program's steps, one for each plane, which float32 and int8 share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dstbench.deployment.c_export.plan import Plan
from dstbench.deployment.c_export.tables import Table
from dstbench.deployment.runtime.packed_arrays import pack_planes
from dstbench.deployment.runtime.program import Kind, Program

_IMAGE, _CONSTANT = len(Kind), len(Kind) + 1  # kinds of steps that are no operation
_NO_SETTINGS = (0,) * 6


@dataclass(frozen=True)
class StepTables:
    """Tables of the steps in their order, and what further tables have one number each for.

    tables: shapes, places, planes, taps, constants, logits.
    observed: what only an observer reads: the operation that each step is.
    sums: the operations that are LINEAR, in the order of the steps.
    terms: their terms, one operation after the other.
    rescaled: the operations that are LINEAR or MEAN, in the order of the steps.
    """

    tables: list[Table]
    observed: Table
    sums: np.ndarray
    terms: np.ndarray
    rescaled: np.ndarray


def step_tables(
    program: Program,
    plan: Plan,
    taps: Mapping[str, np.ndarray],
    constants: Sequence[np.ndarray],
) -> StepTables:
    """Return the tables of a program's steps.

    taps: name of a table → a number for each of the program's terms. Few combinations of them and
        of the shifts are distinct: a term stores which one it has.
    constants: the constant planes in the numbers of the interpreter.
    """
    firsts, kind = program.first_terms(), program.kind
    ends = firsts + program.terms
    operations = [plane - program.sources for plane in plan.order]
    computed = [number for number in operations if number >= 0]
    sums = np.array([n for n in computed if kind[n] == Kind.LINEAR], np.int64)
    rescaled = np.array([n for n in computed if kind[n] in (Kind.LINEAR, Kind.MEAN)], np.int64)
    sizes = program.sizes()
    shapes = _Rows(_shape(program, plane, constants, sizes, firsts) for plane in plan.order)
    shifts = program.term_shifts()
    tapped = _terms_of(rescaled, firsts, ends)
    columns = [*shifts[tapped].T, *(values[tapped] for values in taps.values())]
    tap_rows = _Rows(zip(*(column.tolist() for column in columns), strict=True))
    packed = pack_planes([constants[n] for n in _constants_of(program, plan.order)])
    tables = {
        "dst_place": [plan.starts[plane] for plane in plan.order],
        "dst_shape_of": shapes.row_of,
        "dst_planes": _planes_read(program, plan.order, firsts, ends),
        "dst_counts": program.terms[sums],
        "dst_taps": tap_rows.row_of,
        "dst_tap_rows": tap_rows.column(0),
        "dst_tap_columns": tap_rows.column(1),
        "dst_constant_rows": packed["planes.rows"],
        "dst_constant_columns": packed["planes.columns"],
        "dst_logits": [plan.order.index(plane) for plane in _logits_of(program)],
    }
    dtype = constants[0].dtype if constants else np.int64
    return StepTables(
        tables=[
            Table("dst_shapes", np.array(shapes.distinct, np.int64).reshape(-1, 12), "dst_shape"),
            *(Table(name, np.array(values, np.int64)) for name, values in tables.items()),
            *(
                Table(name, np.array(tap_rows.column(2 + number), values.dtype))
                for number, (name, values) in enumerate(taps.items())
            ),
            Table("dst_constants", packed["planes.numbers"].astype(dtype)),
        ],
        observed=Table("dst_operation", np.array(operations, np.int64).clip(0)),
        sums=sums,
        terms=_terms_of(sums, firsts, ends),
        rescaled=rescaled,
    )


def _logits_of(program: Program) -> range:
    count = program.sources + len(program.kind)
    return range(count - program.classes, count)


def _constants_of(program: Program, order: Sequence[int]) -> list[int]:
    """Return the numbers of the constant planes in the order of their steps."""
    channels = program.image_shape[0]
    return [plane - channels for plane in order if channels <= plane < program.sources]


def _terms_of(operations: np.ndarray, firsts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the numbers of the operations' terms, one operation after the other."""
    ranges = [np.arange(firsts[number], ends[number]) for number in operations]
    return np.concatenate([*ranges, np.zeros(0)]).astype(np.int64)


def _planes_read(
    program: Program, order: Sequence[int], firsts: np.ndarray, ends: np.ndarray
) -> list[int]:
    """Return the step of each plane that steps read; of an image's plane, its channel."""
    step_of = {plane: step for step, plane in enumerate(order)}
    read: list[int] = []
    for plane in order:
        number = plane - program.sources
        if number >= 0:
            sources = program.plane[firsts[number] : ends[number]].tolist()
            read += [step_of[source] for source in sources]
        elif plane < program.image_shape[0]:
            read.append(plane)
    return read


def _shape(
    program: Program,
    plane: int,
    constants: Sequence[np.ndarray],
    sizes: np.ndarray,
    firsts: np.ndarray,
) -> tuple[int, ...]:
    """Return the row of `dst_shapes` of a plane; `types.c` names the columns.

    sizes: of all planes, (planes, 2).
    firsts: first term of each operation.
    """
    channels, number = program.image_shape[0], plane - program.sources
    if plane < channels:
        return _IMAGE, 0, *program.image_shape[1:], 0, 0, *_NO_SETTINGS
    if number < 0:
        constant = constants[plane - channels]
        packed = pack_planes([constant])
        distinct = (int(packed[f"planes.{side}"].max()) + 1 for side in ("rows", "columns"))
        return _CONSTANT, 0, *constant.shape, 0, 0, 0, 0, 0, 0, *distinct
    kind = int(program.kind[number])
    settings = program.settings[int(program.setting[number])].tolist()
    if kind == Kind.LINEAR:
        return kind, int(program.relu[number]), *settings[:2], 0, 0, *_NO_SETTINGS
    source = sizes[int(program.plane[firsts[number]])].tolist()
    first, rest = settings[2:4], settings[4:]
    if kind == Kind.MAXIMUM:
        first = [-padding for padding in first]
    return kind, 0, *settings[:2], *source, *first, *rest


class _Rows:
    """Distinct rows, in the order of appearance, and which of them each row is."""

    def __init__(self, rows: Iterable[Iterable]) -> None:
        numbers: dict[tuple, int] = {}
        self.row_of = [numbers.setdefault(tuple(row), len(numbers)) for row in rows]
        self.distinct = list(numbers)

    def column(self, number: int) -> list:
        return [row[number] for row in self.distinct]
