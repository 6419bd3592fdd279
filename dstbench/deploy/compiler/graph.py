"""The steps of a network: convolutions, sums, ReLUs, pooling, and what each takes and makes."""

from dataclasses import dataclass

import numpy as np

from dstbench.data.images import Shape

Pair = tuple[int, int]


@dataclass(frozen=True)
class Convolution:
    """Linear layers included, as 1×1 convolutions of 1×1 planes.

    weight: (outputs, inputs / groups, rows, columns), float64, to be multiplied by `factor`.
    tensor: name of the stored tensor that `weight` is; layers that share one have the same name.
    before: rows and columns of zeros above and to the left.
    """

    weight: np.ndarray
    factor: float
    tensor: str
    bias: np.ndarray | None
    stride: Pair
    before: Pair
    dilation: Pair
    groups: int


@dataclass(frozen=True)
class Affine:
    """x · scale + shift, (channels,) each: batch norm in eval mode."""

    scale: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class Pool:
    """The maximum or the mean of windows; what lies outside the image takes no part in a maximum
    and counts as zero in a mean."""

    maximum: bool
    window: Pair
    stride: Pair
    before: Pair


@dataclass(frozen=True)
class Relu:
    pass


@dataclass(frozen=True)
class Sum:
    pass


@dataclass(frozen=True)
class Flatten:
    """(channels, height, width) → (channels · height · width, 1, 1)."""


Action = Convolution | Affine | Pool | Relu | Sum | Flatten


@dataclass(frozen=True)
class Step:
    """One action. inputs: numbers of the values it takes, 0 being the image and n + 1 the result
    of step n. shape: (channels, height, width) of its result."""

    action: Action
    inputs: tuple[int, ...]
    shape: Shape
