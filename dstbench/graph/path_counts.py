"""Numbers of paths of live weights from the pixels of an image to those of a value.

They are the values of a network whose live weights are one and whose normalisation and activations
are the identity, for an image of ones. A mean counts the mean of its window's paths, a maximum the
most. Float64: with more than 1e308 paths they are infinite.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from dstbench.graph.steps import Convolution, Flatten, Pair, Pool, Step, Sum


def count_paths(step: Step, inputs: Sequence[Tensor], kernels: Tensor | None = None) -> Tensor:
    """Return the paths to each pixel of a step's value, float64 (channels, height, width).

    inputs: those to the pixels of the values that it reads.
    kernels: of a convolution, (outputs, inputs, rows, columns): one for live weights, else zero.
    """
    action, x = step.action, inputs[0]
    if isinstance(action, Convolution):
        assert kernels is not None
        window = (kernels.shape[2], kernels.shape[3])
        x = _padded(x, step, window, action.stride, action.padding, action.dilation)
        return F.conv2d(x[None], kernels.double(), None, action.stride, 0, action.dilation)[0]
    if isinstance(action, Pool):
        x = _padded(x, step, action.window, action.stride, action.padding, (1, 1))
        pool = F.max_pool2d if action.maximum else F.avg_pool2d
        return pool(x[None], action.window, action.stride)[0]
    if isinstance(action, Sum):
        return sum(inputs[1:], start=x)
    return x.reshape(step.shape) if isinstance(action, Flatten) else x


def _padded(
    x: Tensor, step: Step, window: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """Return the value with zeros around it, so that a window's results have the step's shape."""
    sides: list[int] = []
    for axis in (1, 0):  # columns, then rows
        span = dilation[axis] * (window[axis] - 1) + 1
        read = (step.shape[axis + 1] - 1) * stride[axis] + span
        sides += [padding[axis], read - x.shape[axis + 1] - padding[axis]]
    return F.pad(x, sides)
