"""Emits a program: the operations that the logits need, as arrays."""

from collections.abc import Sequence

import numpy as np

from dstbench.data.images import Shape
from dstbench.deployment.compiler.expressions import Operation, Plane, Term
from dstbench.deployment.compiler.operation_order import operation_order
from dstbench.deployment.runtime.program import NO_CLIP, Program


def emit(
    operations: list[Operation], constants: list[np.ndarray], classes: int, image_shape: Shape
) -> Program:
    """Return the program whose logits are the last `classes` operations.

    operations: all operations; those that no logit needs are left out.
    constants: constant planes, (height, width) each.
    classes: number of logits.
    image_shape: channels, height, width.
    """
    kept = _in_order(_needed(operations, classes), operations, classes)
    numbers, planes = _number_planes(operations, kept, constants, image_shape[0])
    settings, shifts = _DistinctRows(), _DistinctRows()
    weights = _DistinctWeights()
    gains, per_term = [], []
    for operation in kept:
        gain, weight_numbers = weights.take(operation.terms)
        gains.append(gain)
        for term, weight_number in zip(operation.terms, weight_numbers, strict=True):
            shift_row = shifts.row((term.rows, term.columns))
            clip = max(term.clip, float(NO_CLIP))
            per_term.append((numbers[term.plane], shift_row, weight_number, clip))
    plane, shift, weight, clips = zip(*per_term, strict=True) if per_term else ((), (), (), ())
    flat = [(*o.size, *(n for pair in o.settings for n in pair)) for o in kept]
    return Program(
        image_shape=image_shape,
        classes=classes,
        constants=planes,
        weights=np.array(weights.values, np.float32),
        kind=np.array([o.kind for o in kept], np.uint8),
        relu=np.array([o.relu for o in kept], np.bool_),
        gain=np.array(gains, np.float32),
        bias=np.array([o.bias for o in kept], np.float32),
        setting=np.array([settings.row((*f, *[0] * (8 - len(f)))) for f in flat], np.uint16),
        terms=np.array([len(o.terms) for o in kept], np.uint32),
        plane=np.array(plane, np.uint32),
        shift=np.array(shift, np.uint16),
        weight=np.array(weight, np.uint32),
        clip=np.array(clips, np.float32),
        settings=settings.array(8),
        shifts=shifts.array(2),
    )


def _needed(operations: list[Operation], classes: int) -> list[Operation]:
    """Return the operations that the last `classes` ones need."""
    needed = set(range(len(operations) - classes, len(operations)))
    for number in reversed(range(len(operations))):
        if number in needed:
            planes = [term.plane for term in operations[number].terms]
            needed |= {plane.number for plane in planes if plane.source == "operation"}
    return [operations[number] for number in sorted(needed)]


def _in_order(kept: list[Operation], operations: list[Operation], classes: int) -> list[Operation]:
    """Return the operations in an order in which few planes are needed at a time."""
    place = {id(operation): number for number, operation in enumerate(kept)}
    inputs = [
        sorted(
            {
                place[id(operations[term.plane.number])]
                for term in operation.terms
                if term.plane.source == "operation"
            }
        )
        for operation in kept
    ]
    pixels = [operation.size[0] * operation.size[1] for operation in kept]
    shapes = [(o.kind, o.size, o.settings, len(o.terms)) for o in kept]
    return [kept[number] for number in operation_order(inputs, pixels, shapes, classes)]


def _number_planes(
    operations: list[Operation], kept: list[Operation], constants: list[np.ndarray], channels: int
) -> tuple[dict[Plane, int], list[np.ndarray]]:
    """Return the number of every plane in the program, and the distinct constant planes."""
    numbers = {Plane("image", channel): channel for channel in range(channels)}
    planes: list[np.ndarray] = []
    found: dict[tuple, int] = {}
    for operation in kept:
        for term in operation.terms:
            if term.plane.source == "constant" and term.plane not in numbers:
                plane = constants[term.plane.number].astype(np.float32)
                key = (plane.shape, plane.tobytes())
                if key not in found:
                    found[key] = channels + len(planes)
                    planes.append(plane)
                numbers[term.plane] = found[key]
    old = {id(operation): number for number, operation in enumerate(operations)}
    for number, operation in enumerate(kept):
        numbers[Plane("operation", old[id(operation)])] = channels + len(planes) + number
    return numbers, planes


class _DistinctRows:
    """Numbers distinct tuples in order of appearance."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[int, ...], int] = {}

    def row(self, values: tuple[int, ...]) -> int:
        return self.numbers.setdefault(values, len(self.numbers))

    def array(self, width: int) -> np.ndarray:
        return np.array([*self.numbers], np.int32).reshape(-1, width)


class _DistinctWeights:
    """Stores each weight of the program once, however many terms use it."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.numbers: dict[object, int] = {}

    def take(self, terms: Sequence[Term]) -> tuple[float, list[int]]:
        """Return the gain that an operation's weights have in common, and their numbers."""
        gain = next((term.factor for term in terms if term.weight is not None), 1.0)
        return gain, [self._number(term, gain) for term in terms]

    def _number(self, term: Term, gain: float) -> int:
        if term.weight is None and term.factor == 1:
            return 0
        if term.weight is not None and term.factor == gain:
            key: object = term.weight
            value = term.value
        else:
            key = value = term.coefficient / gain
        if key not in self.numbers:
            self.values.append(value)
            self.numbers[key] = len(self.values)
        return self.numbers[key]
