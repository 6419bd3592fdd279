"""The operations of a folded network as the arrays of a program, without what no logit needs."""

from collections.abc import Sequence

import numpy as np

from dstbench.data.images import Shape
from dstbench.deploy.compiler.expressions import Operation, Plane, Term
from dstbench.deploy.runtime.program import NO_CLIP, Program


def assemble(
    operations: list[Operation], constants: list[np.ndarray], classes: int, image_shape: Shape
) -> Program:
    """The program of which the last `classes` operations are the logits."""
    kept = _needed(operations, classes)
    numbers, planes = _numbers(operations, kept, constants, image_shape[0])
    settings, shifts = _Rows(), _Rows()
    stored = _Stored()
    gains, per_term = [], []
    for operation in kept:
        gain, weights = stored.take(operation.terms)
        gains.append(gain)
        per_term += [
            (numbers[term.plane], shifts.row((term.rows, term.columns)), weight,
             max(term.clip, float(NO_CLIP)))
            for term, weight in zip(operation.terms, weights, strict=True)
        ]  # fmt: skip
    plane, shift, weight, clip = zip(*per_term, strict=True) if per_term else ((), (), (), ())
    flat = [(*o.size, *(n for pair in o.settings for n in pair)) for o in kept]
    return Program(
        image_shape=image_shape,
        classes=classes,
        constants=planes,
        weights=np.array(stored.values, np.float32),
        kind=np.array([o.kind for o in kept], np.uint8),
        relu=np.array([o.relu for o in kept], np.bool_),
        gain=np.array(gains, np.float32),
        bias=np.array([o.bias for o in kept], np.float32),
        setting=np.array([settings.row((*f, *[0] * (8 - len(f)))) for f in flat], np.uint16),
        terms=np.array([len(o.terms) for o in kept], np.uint32),
        plane=np.array(plane, np.uint32),
        shift=np.array(shift, np.uint16),
        weight=np.array(weight, np.uint32),
        clip=np.array(clip, np.float32),
        settings=settings.array(8),
        shifts=shifts.array(2),
    )


def _needed(operations: list[Operation], classes: int) -> list[Operation]:
    """Those that the last `classes` ones need, in the order they are to run."""
    needed = set(range(len(operations) - classes, len(operations)))
    for number in reversed(range(len(operations))):
        if number in needed:
            planes = [term.plane for term in operations[number].terms]
            needed |= {plane.number for plane in planes if plane.source == "made"}
    return sorted((operations[number] for number in needed), key=lambda o: o.order)


def _numbers(
    operations: list[Operation], kept: list[Operation], constants: list[np.ndarray], channels: int
) -> tuple[dict[Plane, int], list[np.ndarray]]:
    """The number of every plane in the program, and the constant ones, equal ones once."""
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
        numbers[Plane("made", old[id(operation)])] = channels + len(planes) + number
    return numbers, planes


class _Rows:
    """Distinct tuples, numbered as they come."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[int, ...], int] = {}

    def row(self, values: tuple[int, ...]) -> int:
        return self.numbers.setdefault(values, len(self.numbers))

    def array(self, width: int) -> np.ndarray:
        return np.array([*self.numbers], np.int32).reshape(-1, width)


class _Stored:
    """The weights of the program, each stored once, however often it is used."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.numbers: dict[object, int] = {}

    def take(self, terms: Sequence[Term]) -> tuple[float, list[int]]:
        """(gain, numbers): what the weights of an operation have in common, and which they are."""
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
