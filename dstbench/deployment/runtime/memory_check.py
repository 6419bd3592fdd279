"""Checks that a program touches nothing outside its workspace, over the tables that kernels get.

For each operation the lowest and the highest place that its kernel reads and writes is computed, as
`kernels` and `simd` take them. Kernels check nothing, so that they are fast; this runs once for
each memory plan.
"""

import numpy as np

from ...compiled.lanes import LANES
from .program import Kind
from .program_check import InvalidProgram
from .workspace import (
    GUARD,
    HEIGHT,
    IMAGE,
    IN_HEIGHT,
    IN_IMAGE,
    IN_ROW,
    IN_WIDTH,
    KIND,
    LENGTH,
    MASK,
    PADDED,
    ROW,
    SETTINGS,
    WIDTH,
    MemoryPlan,
)

_MORE = LANES - 1  # floats beyond the last one that a loop over vectors reads or writes


def check_memory(plan: MemoryPlan, sources: np.ndarray) -> None:
    """Raise InvalidProgram if an operation, a source or a logit is outside the workspace.

    sources: (p, 2) int64, height and width of the planes that no operation computes.
    """
    shapes = plan.shapes[plan.operations[:, 0]]
    out, terms = plan.operations[:, 1].astype(np.int64), plan.operations[:, 2]
    more_images = plan.images - 1
    length = more_images * shapes[:, IMAGE] + shapes[:, LENGTH]
    kind = shapes[:, KIND]

    # What is written, and the mask that is read beside it: as long as the result.
    _inside(plan, out - shapes[:, GUARD], out + length + _MORE)
    masked = shapes[:, PADDED] != 0
    mask = shapes[masked, MASK]
    _inside(plan, mask, mask + length[masked] + _MORE)
    ends = (
        more_images * shapes[:, IMAGE]
        + (shapes[:, HEIGHT] - 1) * shapes[:, ROW]
        + shapes[:, WIDTH]
        + _MORE
    )
    _inside(plan, out, out + ends)

    # What is read, by each term.
    offsets = plan.offsets.astype(np.int64)
    owner = np.repeat(np.arange(len(shapes)), terms)
    last = np.select(
        [kind == Kind.LINEAR, kind == Kind.SAMPLE],
        [
            length,
            more_images * shapes[:, IN_IMAGE]
            + (shapes[:, HEIGHT] - 1) * shapes[:, IN_ROW] * shapes[:, SETTINGS + 2]
            + (shapes[:, WIDTH] - 1) * shapes[:, SETTINGS + 3]
            + 1,
        ],
        more_images * shapes[:, IN_IMAGE]
        + (shapes[:, IN_HEIGHT] - 1) * shapes[:, IN_ROW]
        + shapes[:, IN_WIDTH],
    )
    _inside(plan, offsets, offsets + last[owner] + _MORE)

    (start, row, image), (height, width) = plan.sources.T, sources.T
    _inside(plan, start, start + more_images * image + (height - 1) * row + width)
    start, image = plan.logits.T
    _inside(plan, start, start + more_images * image + 1)


def _inside(plan: MemoryPlan, first: np.ndarray, end: np.ndarray) -> None:
    """Raise InvalidProgram unless all ranges [first, end) are in the workspace."""
    if not ((first >= 0) & (end <= plan.size)).all():
        raise InvalidProgram("an operation would leave the network's memory.")
