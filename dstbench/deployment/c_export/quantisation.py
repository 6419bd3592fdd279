"""Numbers of an int8 network, from the range of every plane.

A pixel q of a plane stands for scale · (q − zero), with a scale and a zero of its own. An
operation adds up integers, in units of a scale of its own, and rescales the sum by
multiplier · 2^−shift into its result's. A coefficient, times the scale of the plane that it
multiplies, is an integer of 8 bits times a power of two: the terms of a sum differ too much for one
scale. SAMPLE and MAXIMUM copy pixels, so their results have their source's scale and zero. A pixel
of the image is its byte − 128.
"""

from dataclasses import dataclass

import numpy as np

from dstbench.deployment.runtime.program import NO_CLIP, Kind, Program
from dstbench.errors import UserError

NO_CLIP_INT = -(2**15)  # below every difference of pixel and zero
_LARGEST_WEIGHT = 127
_MOST_DOUBLINGS = 8  # of a weight
_LARGEST_SUM = 2**30  # before weights are rounded; afterwards below 2^31


@dataclass(frozen=True)
class Quantisation:
    """The numbers of an int8 network.

    One entry a plane:

    scales: float64. zeros: int64.

    One entry a term:

    weights: int64, −127 … 127.
    doublings: int64, a term's coefficient is weight · 2^doublings.
    clips: int64, lower bound of pixel − zero.

    One entry an operation:

    bias: int64, units of its sum.
    sum_scales: float64, of its sum.
    multipliers, shifts: int64, a result is sum · multiplier · 2^−shift.
    """

    scales: np.ndarray
    zeros: np.ndarray
    weights: np.ndarray
    doublings: np.ndarray
    clips: np.ndarray
    bias: np.ndarray
    sum_scales: np.ndarray
    multipliers: np.ndarray
    shifts: np.ndarray


def quantised(program: Program, low: np.ndarray, high: np.ndarray) -> Quantisation:
    """Return an int8 network.

    low, high: of every plane's pixels, (planes,).

    Raises UserError: when black or white bytes are on one side of the mean.
    """
    scales, zeros = _scales(program, low, high)
    plane, owner = program.plane.astype(np.int64), program.owners()
    exact = program.coefficients().astype(np.float64) * scales[plane]
    bias = program.bias.astype(np.float64)
    sum_scales = _sum_scales(program, exact, owner, scales)
    units = exact / sum_scales[owner]
    doublings = np.ceil(np.log2(np.maximum(np.abs(units) / (_LARGEST_WEIGHT + 0.499), 1)))
    multipliers, shifts = _fixed_point(sum_scales / scales[program.sources :])
    clips = np.rint(program.clip / scales[plane]).clip(-255, 255)
    return Quantisation(
        scales=scales,
        zeros=zeros,
        weights=np.rint(units / 2**doublings).astype(np.int64),
        doublings=doublings.astype(np.int64),
        clips=np.where(program.clip == NO_CLIP, NO_CLIP_INT, clips).astype(np.int64),
        bias=np.rint(bias / sum_scales).astype(np.int64),
        sum_scales=sum_scales,
        multipliers=multipliers,
        shifts=shifts,
    )


def _sum_scales(
    program: Program, exact: np.ndarray, owner: np.ndarray, scales: np.ndarray
) -> np.ndarray:
    """Return the scale of every operation's sum, so small that sums stay in 32 bits.

    exact: of every term, coefficient times the scale of its plane.
    owner: of every term, its operation.
    scales: of every plane.
    """
    count = len(program.kind)
    largest, total = np.zeros(count), np.abs(program.bias).astype(np.float64)
    np.maximum.at(largest, owner, np.abs(exact))
    np.add.at(total, owner, 255 * np.abs(exact))
    sum_scales = np.maximum(largest / (_LARGEST_WEIGHT * 2**_MOST_DOUBLINGS), total / _LARGEST_SUM)
    sum_scales[sum_scales == 0] = 1
    mean = program.kind == Kind.MEAN
    read = program.plane.astype(np.int64)[program.first_terms()[mean]]
    sum_scales[mean] = scales[read] / program.sizes()[read].prod(1)
    return sum_scales


def _scales(program: Program, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and zero of every plane. Zero is a pixel of each: planes are padded with it."""
    channels, plane = program.image_shape[0], program.plane.astype(np.int64)
    first = program.first_terms()
    origin = np.arange(len(low))  # the plane whose pixels a plane has
    for number in np.flatnonzero((program.kind == Kind.SAMPLE) | (program.kind == Kind.MAXIMUM)):
        origin[program.sources + number] = origin[plane[first[number]]]
    owner = program.owners()
    summed = np.isin(program.kind[owner], (Kind.LINEAR, Kind.MEAN))
    floor = np.full(len(low), np.inf)  # what is below every reader's clip need not be told apart
    np.minimum.at(floor, origin[plane[summed]], program.clip[summed])
    floor[origin[len(low) - program.classes :]] = -np.inf
    low = np.minimum(np.maximum(low, np.where(np.isfinite(floor), floor, low)), 0)
    high = np.maximum(high, 0)
    mean, std = np.array(program.about["mean"]), np.array(program.about["std"])
    if not ((mean >= 0) & (mean <= 1)).all():
        raise UserError(f"int8 needs means of pixels between 0 and 1, not {mean.tolist()}.")
    low[:channels], high[:channels] = -mean / std, (1 - mean) / std
    scales = (high - low) / 255
    scales[scales <= 0] = 1
    zeros = -128 - np.rint(low / scales)
    return scales[origin], zeros[origin].astype(np.int64)


def _fixed_point(factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return multiplier · 2^−shift for positive factors; the multiplier is below 2^31."""
    fraction, exponent = np.frexp(factors)  # fraction in [½, 1)
    multipliers, shifts = np.rint(fraction * 2**31).astype(np.int64), 31 - exponent.astype(np.int64)
    rounded_up = multipliers == 2**31
    multipliers[rounded_up] //= 2
    shifts[rounded_up] -= 1
    small, large = shifts > 62, shifts < 0  # no sum reaches half a unit; every sum exceeds 8 bits
    multipliers[small], multipliers[large] = 0, 2**31 - 1
    return multipliers, np.where(small | large, 0, shifts)
