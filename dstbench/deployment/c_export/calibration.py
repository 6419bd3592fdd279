"""The range of every plane of a program, over images."""

from collections.abc import Sequence

import numpy as np

from dstbench.deployment.c_export.simulation import simulate
from dstbench.deployment.runtime.program import NO_CLIP, Program

_BATCH = 64  # images whose planes are in memory at a time
_OUTLIERS = 1e-4  # fraction of a plane's pixels at either end that may be out of its range


def ranges(
    program: Program, order: Sequence[int], images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return low and high of every plane's pixels but outliers, (planes,) each.

    order: of the planes that the logits need; others have the range 0 … 0.
    images: float32 (n, C, H, W), normalised.
    """
    count = program.sources + len(program.kind)
    outliers = (_OUTLIERS * len(images) * program.sizes().prod(1)).astype(np.int64)
    lowest: dict[int, np.ndarray] = {}  # pixels of each plane so far: its outliers and one more
    highest: dict[int, np.ndarray] = {}
    for start in range(0, len(images), _BATCH):
        arithmetic = Float32(program, images[start : start + _BATCH])
        for plane, pixels in simulate(program, order, arithmetic):
            for ends, sign in ((lowest, 1), (highest, -1)):
                known = ends.get(plane, np.zeros(0, np.float32))
                both = np.concatenate([known, sign * pixels.ravel()])
                last = min(outliers[plane], len(both) - 1)
                ends[plane] = np.partition(both, last)[: last + 1]
    low, high = np.zeros(count), np.zeros(count)
    for plane in order:
        low[plane], high[plane] = lowest[plane].max(), -highest[plane].max()
    return low, high


class Float32:
    """Arithmetic in float32; images are (n, C, H, W), normalised."""

    def __init__(self, program: Program, images: np.ndarray):
        self.program, self.images = program, images
        self.coefficients = program.coefficients()

    def source(self, plane: int) -> np.ndarray:
        channels = self.program.image_shape[0]
        if plane < channels:
            return self.images[:, plane]
        constant = self.program.constants[plane - channels]
        return np.broadcast_to(constant, (len(self.images), *constant.shape))

    def zero(self, plane: int) -> float:
        return 0.0

    def lowest(self) -> float:
        return float(NO_CLIP)

    def linear(self, number: int, terms: range, read: list[np.ndarray]) -> np.ndarray:
        height, width = self.program.settings[int(self.program.setting[number])][:2]
        bias = self.program.bias[number]
        total = np.full((len(self.images), height, width), bias, np.float32)
        for term, plane in zip(terms, read, strict=True):
            total += self.coefficients[term] * np.maximum(plane, self.program.clip[term])
        return np.maximum(total, 0) if self.program.relu[number] else total

    def mean(self, number: int, term: int, read: np.ndarray) -> np.ndarray:
        clipped = np.maximum(read, self.program.clip[term])
        return clipped.mean((1, 2), dtype=np.float32, keepdims=True)
