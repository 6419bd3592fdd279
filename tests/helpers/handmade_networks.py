"""Files of networks written operation by operation, with a right checksum, whatever they hold."""

import json
import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from helpers.mutated_networks import joined

LINEAR, SAMPLE, MAXIMUM, MEAN = range(4)


class Operation(NamedTuple):
    """One operation of a file.

    size: height and width of its result.
    terms: (plane, (rows, columns) of its shift) of each.
    first, step, window: origin or padding, stride, and window, as pairs of rows and columns.
    """

    kind: int
    size: tuple[int, int]
    terms: Sequence[tuple[int, tuple[int, int]]]
    first: tuple[int, int] = (0, 0)
    step: tuple[int, int] = (1, 1)
    window: tuple[int, int] = (1, 1)


def mean_of(plane: int) -> Operation:
    """Return the mean of a plane, which may be a logit."""
    return Operation(MEAN, (1, 1), [(plane, (0, 0))])


def handmade(
    image: Sequence[int],
    operations: Sequence[Operation],
    *,
    planes: Sequence[tuple[int, int]] = (),
    about: Any = None,
    metadata: Mapping[str, str] = MappingProxyType({}),
    **tensors: np.ndarray,
) -> bytes:
    """Return a file with one logit, the last operation.

    image: channels, height, width.
    planes: sizes of the constant planes, all ones.
    about: its description, as JSON text or a value.
    metadata: in place of what would be written.
    tensors: in place of those of the operations; a dot in a name is __.
    """
    terms = [term for operation in operations for term in operation.terms]
    count = len(operations)
    zeros = np.zeros(sum(height for height, _ in planes), np.uint8)
    made = {
        "kind": np.array([o.kind for o in operations], np.uint8),
        "relu": np.zeros(-(-count // 8), np.uint8),
        "gain": np.ones(count, np.float32),
        "bias": np.linspace(-1, 1, count, dtype=np.float32),
        "weights": np.array([0.5, -1.5, 2, -1], np.float32),
        "setting": np.arange(count, dtype=np.uint32),
        "terms": np.array([len(o.terms) for o in operations], np.uint32),
        "plane": np.array([plane for plane, _ in terms], np.uint32),
        "shift": np.arange(len(terms), dtype=np.uint32),
        "weight": np.arange(len(terms), dtype=np.uint32) % 5,
        "clipped": np.arange(0, len(terms), 3, dtype=np.uint32),
        "clip": np.full(-(-len(terms) // 3), -0.25, np.float32),
        "settings": np.array(
            [(*o.size, *o.first, *o.step, *o.window) for o in operations], np.int32
        ),
        "shifts": np.array([shift for _, shift in terms], np.int32).reshape(-1, 2),
        "planes.rows": zeros,
        "planes.columns": np.zeros(sum(width for _, width in planes), np.uint8),
        "planes.numbers": np.ones(len(planes), np.float32),
    }
    made |= {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    shapes = {"image_shape": list(image), "classes": 1, "planes": [list(p) for p in planes]}
    written = {
        "format": "dstbench.network",
        "version": "1",
        "program": json.dumps(shapes),
        "about": about if isinstance(about, str) else json.dumps({} if about is None else about),
    }
    return joined(made, {**written, **metadata})


SIDES = (1, 1, 2, 3, 5, 9, 16, 17, 33, 400, 2**12, 2**15)
SHIFTS = (*(0, 1, -1, 2, -2, 3) * 6, -17, 100, -400, 2**15, -(2**15))
STEPS = (*(1, 2, 3, 5) * 4, 100, 2**15)


def extreme(seed: int) -> bytes:
    """Return a file whose sizes, shifts, strides and windows are often extreme.

    Most parts fit together, so that many files pass the first checks and reach the last ones.
    """
    rng = random.Random(seed)

    def pair(values: Sequence[int]) -> tuple[int, int]:
        return rng.choice(values), rng.choice(values)

    sides = SIDES[: rng.choice((6, 9, 12))]
    image = (rng.choice((1, 1, 2, 3)), *pair(sides))
    planes = [pair(sides) for _ in range(rng.choice((0, 0, 1, 2)))]
    sizes, operations = [image[1:]] * image[0] + planes, []
    for _ in range(rng.randint(1, 8)):
        plane, kind = rng.randrange(len(sizes)), rng.choice((LINEAR, LINEAR, SAMPLE, MAXIMUM))
        height, width = sizes[plane]
        if kind == LINEAR:
            same = [n for n, size in enumerate(sizes) if size == sizes[plane]]
            terms = [(rng.choice(same), pair(SHIFTS)) for _ in range(rng.choice((0, 1, 2, 5)))]
            operations.append(Operation(kind, (height, width), terms))
        else:
            step, window = pair(STEPS), pair(STEPS)
            first = pair(SHIFTS) if kind == SAMPLE else tuple(map(rng.randrange, window))
            size = tuple(
                -(-side // by) + rng.choice((*[0] * 20, 1))
                for side, by in zip((height, width), step, strict=True)
            )
            operations.append(Operation(kind, size, [(plane, (0, 0))], first, step, window))
        sizes.append(operations[-1].size)
    about = {"mean": [0.5] * image[0], "std": [0.25] * image[0], "classes": ["a"], "seed": seed}
    return handmade(image, [*operations, mean_of(len(sizes) - 1)], planes=planes, about=about)
