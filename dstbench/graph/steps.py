"""A network as a list of steps: each is one action on the values that earlier steps computed.

The last step computes the logits. Weights are those of eval mode, in float64.
"""

from dataclasses import dataclass

import numpy as np

from dstbench.data.images import Shape

Pair = tuple[int, int]


@dataclass(frozen=True)
class BatchNorm:
    """The tensors and settings of a batch norm.

    weight, bias: names of its parameters, or None.
    mean, var: names of its running averages.
    momentum: weight of a new batch in the running averages.
    eps: added to the variance.
    """

    weight: str | None
    bias: str | None
    mean: str
    var: str
    momentum: float
    eps: float


@dataclass(frozen=True)
class Convolution:
    """A convolution. A linear layer is a 1×1 convolution of 1×1 planes.

    weight: (outputs, inputs / groups, rows, columns), float64, without `factor`.
    factor: number that `weight` is multiplied by.
    tensor: name of the stored tensor that holds `weight`; layers that share it have the same name.
    bias: (outputs,) float64, or None.
    stride: rows, columns.
    padding: rows of zeros above, columns of zeros to the left.
    dilation: rows, columns.
    groups: number of groups.
    scale: name of the parameter that is `factor`; None where it is a number. Where it is computed,
        words with a space, which no name has.
    bias_name: name of the parameter that is `bias`, or None.
    """

    weight: np.ndarray
    factor: float
    tensor: str
    bias: np.ndarray | None
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    scale: str | None = None
    bias_name: str | None = None


@dataclass(frozen=True)
class Affine:
    """x · scale + shift: batch norm in eval mode.

    scale, shift: (channels,) float64 each.
    norm: the batch norm's tensors; None where one of them is computed.
    """

    scale: np.ndarray
    shift: np.ndarray
    norm: BatchNorm | None = None


@dataclass(frozen=True)
class Pool:
    """The maximum or the mean of windows.

    Pixels outside the image are ignored by a maximum and count as zeros in a mean.

    maximum: whether it is a maximum; else a mean.
    window: rows, columns.
    stride: rows, columns.
    padding: rows above, columns to the left.
    """

    maximum: bool
    window: Pair
    stride: Pair
    padding: Pair


@dataclass(frozen=True)
class Relu:
    """max(x, 0)."""


@dataclass(frozen=True)
class Dynamic:
    """max(a₁x + b₁, a₂x + b₂) + r · max(x, 0), with coefficients of each channel and image.

    module: path of the `DynamicActivation` that computes them from the means of x over pixels.
    layer: its class and path, for messages.
    """

    module: str
    layer: str


@dataclass(frozen=True)
class Sum:
    """The sum of two values of one shape."""


@dataclass(frozen=True)
class Flatten:
    """(channels, height, width) → (channels · height · width, 1, 1)."""


Action = Convolution | Affine | Pool | Relu | Dynamic | Sum | Flatten


@dataclass(frozen=True)
class Step:
    """One action.

    action: what is computed.
    inputs: numbers of the values it reads; 0 is the image, n + 1 the result of step n.
    shape: (channels, height, width) of its result.
    """

    action: Action
    inputs: tuple[int, ...]
    shape: Shape
