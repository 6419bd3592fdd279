"""The int8 network in numpy, equal to `int8.c` in every bit."""

from collections.abc import Sequence

import numpy as np

from dstbench.deployment.c_export.quantisation import Quantisation
from dstbench.deployment.c_export.simulation import simulate
from dstbench.deployment.runtime.program import Kind, Program


def constants(program: Program, numbers: Quantisation) -> list[np.ndarray]:
    """Return the constant planes as pixels, int64 (height, width) each."""
    first = program.image_shape[0]
    return [
        np.rint(plane / numbers.scales[first + n] + numbers.zeros[first + n])
        .clip(-128, 127)
        .astype(np.int64)
        for n, plane in enumerate(program.constants)
    ]


def int8_logits(
    program: Program, order: Sequence[int], numbers: Quantisation, images: np.ndarray
) -> np.ndarray:
    """Return the logits of the int8 network, float32 (n, classes).

    order: of the planes.
    images: uint8 (n, height, width, channels).
    """
    arithmetic = _Int8(program, numbers, images)
    first = program.sources + len(program.kind) - program.classes
    logits = np.zeros((len(images), program.classes), np.float32)
    for plane, pixels in simulate(program, order, arithmetic):
        if plane >= first:
            number = plane - program.sources
            if program.kind[number] in (Kind.LINEAR, Kind.MEAN):
                scale, value = numbers.sum_scales[number], arithmetic.sum
            else:
                scale, value = numbers.scales[plane], pixels - numbers.zeros[plane]
            logits[:, plane - first] = np.float32(scale) * value[:, 0, 0].astype(np.float32)
    return logits


class _Int8:
    """Arithmetic of pixels of 8 bits and sums of 32, in int64.

    sum: of the operation computed last, before it was rescaled.
    """

    def __init__(self, program: Program, numbers: Quantisation, images: np.ndarray):
        self.program, self.numbers, self.images = program, numbers, images
        self.constants = constants(program, numbers)
        self.sum = np.zeros((0, 0, 0), np.int64)

    def source(self, plane: int) -> np.ndarray:
        channels = self.program.image_shape[0]
        if plane < channels:
            return self.images[..., plane].astype(np.int64) - 128
        constant = self.constants[plane - channels]
        return np.broadcast_to(constant, (len(self.images), *constant.shape))

    def zero(self, plane: int) -> float:
        return int(self.numbers.zeros[plane])

    def lowest(self) -> float:
        return -128

    def linear(self, number: int, terms: range, read: list[np.ndarray]) -> np.ndarray:
        height, width = self.program.settings[int(self.program.setting[number])][:2]
        total = np.full((len(self.images), height, width), self.numbers.bias[number], np.int64)
        for term, plane in zip(terms, read, strict=True):
            coefficient = self.numbers.weights[term] << self.numbers.doublings[term]
            total += coefficient * self._clipped(term, plane)
        self.sum = np.maximum(total, 0) if self.program.relu[number] else total
        return self._rescaled(number)

    def mean(self, number: int, term: int, read: np.ndarray) -> np.ndarray:
        self.sum = self._clipped(term, read).sum((1, 2), keepdims=True)
        return self._rescaled(number)

    def _clipped(self, term: int, plane: np.ndarray) -> np.ndarray:
        zero = self.numbers.zeros[int(self.program.plane[term])]
        return np.maximum(plane - zero, self.numbers.clips[term])

    def _rescaled(self, number: int) -> np.ndarray:
        shift = int(self.numbers.shifts[number])
        half = 1 << (shift - 1) if shift else 0
        pixels = (self.sum * self.numbers.multipliers[number] + half) >> shift
        return (pixels + self.numbers.zeros[self.program.sources + number]).clip(-128, 127)
