"""Numbers of an int8 network, from the range of every plane.

A pixel q of a plane stands for scale · (q − zero), with a scale and a zero of its own. A LINEAR or
MEAN operation adds up integers, in units of a scale of its own, and rescales the sum by
multiplier · 2^−shift into its result's. The coefficients of an operation, times the scales of the
planes that they multiply, are rounded to −127 … 127 with one scale. SAMPLE and MAXIMUM copy pixels,
so their results have their source's scale and zero.
"""

from dataclasses import dataclass

import numpy as np

from dstbench.deployment.runtime.program import NO_CLIP, Kind, Program

NO_CLIP_INT = -(2**15)  # below every difference of pixel and zero
_LARGEST_BIAS = 2**30  # so that sums of up to 2^15 terms stay below 2^31
MAX_TERMS = 2**15


@dataclass(frozen=True)
class Quantisation:
    """The numbers of an int8 network.

    One entry a plane:

    scales: float64. zeros: int64.

    One entry a term:

    weights: int64, −127 … 127.
    clips: int64, lower bound of pixel − zero.

    One entry an operation:

    bias: int64, units of its sum.
    sum_scales: float64, of its sum; for a MEAN, of its mean.
    multipliers, shifts: int64, a result is sum · multiplier · 2^−shift.
    """

    scales: np.ndarray
    zeros: np.ndarray
    weights: np.ndarray
    clips: np.ndarray
    bias: np.ndarray
    sum_scales: np.ndarray
    multipliers: np.ndarray
    shifts: np.ndarray


def quantised(program: Program, low: np.ndarray, high: np.ndarray) -> Quantisation:
    """Return an int8 network.

    low, high: of every plane's pixels, (planes,).
    """
    scales, zeros = _scales(program, low, high)
    plane, count = program.plane.astype(np.int64), len(program.kind)
    owner = np.repeat(np.arange(count), program.terms)
    exact = program.coefficients().astype(np.float64) * scales[plane]
    largest = np.zeros(count)
    np.maximum.at(largest, owner, np.abs(exact))
    bias = program.bias.astype(np.float64)
    sum_scales = np.maximum(largest / 127, np.abs(bias) / _LARGEST_BIAS)
    sum_scales[sum_scales == 0] = 1
    ends = np.cumsum(program.terms.astype(np.int64))
    mean = program.kind == Kind.MEAN
    read = plane[ends[mean] - 1]
    sum_scales[mean] = scales[read] / program.sizes()[read].prod(1)
    multipliers, shifts = _fixed_point(sum_scales / scales[program.sources :])
    clips = np.rint(program.clip / scales[plane]).clip(-255, 255)
    return Quantisation(
        scales=scales,
        zeros=zeros,
        weights=np.rint(exact / sum_scales[owner]).clip(-127, 127).astype(np.int64),
        clips=np.where(program.clip == NO_CLIP, NO_CLIP_INT, clips).astype(np.int64),
        bias=np.rint(bias / sum_scales).astype(np.int64),
        sum_scales=sum_scales,
        multipliers=multipliers,
        shifts=shifts,
    )


def _scales(program: Program, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and zero of every plane. Zero is a pixel of each: planes are padded with it."""
    plane, copies = program.plane.astype(np.int64), np.arange(len(low))
    ends = np.cumsum(program.terms.astype(np.int64))
    for number in np.flatnonzero((program.kind == Kind.SAMPLE) | (program.kind == Kind.MAXIMUM)):
        copies[program.sources + number] = copies[plane[ends[number] - 1]]  # source of its pixels
    owner = np.repeat(np.arange(len(program.kind)), program.terms)
    summed = np.isin(program.kind[owner], (Kind.LINEAR, Kind.MEAN))
    floor = np.full(len(low), np.inf)  # what is below every reader's clip need not be told apart
    np.minimum.at(floor, copies[plane[summed]], program.clip[summed])
    floor[copies[len(low) - program.classes :]] = -np.inf
    low = np.minimum(np.maximum(low, np.where(np.isfinite(floor), floor, low)), 0)
    high = np.maximum(high, 0)
    scales = (high - low) / 255
    scales[scales <= 0] = 1
    zeros = -128 - np.rint(low / scales)
    return scales[copies], zeros[copies].astype(np.int64)


def _fixed_point(factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return multiplier · 2^−shift for positive factors; the multiplier is below 2^31."""
    fraction, exponent = np.frexp(factors)  # fraction in [½, 1)
    multipliers, shifts = np.rint(fraction * 2**31).astype(np.int64), 31 - exponent.astype(np.int64)
    rounded_up = multipliers == 2**31
    multipliers[rounded_up] //= 2
    shifts[rounded_up] -= 1
    multipliers[shifts > 62], shifts[shifts > 62] = 0, 0  # no sum reaches half a unit
    large = shifts < 0  # a factor of 2^31 or more: every sum but 0 is out of range
    multipliers[large], shifts[large] = 2**31 - 1, 0
    return multipliers, shifts
