"""Rewrites of a list of steps into a cheaper one that computes the same."""

from collections import Counter
from dataclasses import replace

import numpy as np

from dstbench.data.images import Shape
from dstbench.graph.steps import Affine, Convolution, Flatten, Pool, Step

# A classifier moves before the mean only where it multiplies fewer pixels than this, times the
# channels whose means it saves.
_MAX_PIXELS_PER_MEAN = 64


def classify_before_mean(steps: list[Step], image_shape: Shape) -> list[Step]:
    """Return the steps with the linear classifier before the mean over all pixels.

    Both are linear, so their order is free. With few live weights, multiplying small planes costs
    less than a mean of every channel. Steps with a denser classifier, or with no mean and linear
    layer at their end, are returned unchanged.

    image_shape: channels, height, width.
    """
    if len(steps) < 3:
        return steps
    pool, flatten, linear = steps[-3:]
    if not (
        isinstance(pool.action, Pool)
        and isinstance(flatten.action, Flatten)
        and isinstance(linear.action, Convolution)
    ):
        return steps
    shapes = [image_shape, *(step.shape for step in steps)]
    channels, height, width = shapes[pool.inputs[0]]
    readers = Counter(value for step in steps for value in step.inputs)
    in_a_row = (flatten.inputs, linear.inputs) == ((len(steps) - 2,), (len(steps) - 1,))
    read_once = readers[len(steps) - 2] == readers[len(steps) - 1] == 1
    mean_of_all = not pool.action.maximum and pool.action.window == (height, width)
    if not (in_a_row and read_once and mean_of_all):
        return steps
    weights = np.count_nonzero(linear.action.weight)
    if weights * height * width > _MAX_PIXELS_PER_MEAN * channels:
        return steps
    classes = linear.shape[0]
    return [
        *steps[:-3],
        replace(linear, inputs=pool.inputs, shape=(classes, height, width)),
        replace(pool, inputs=(len(steps) - 2,), shape=linear.shape),
    ]


def fold_batch_norm(steps: list[Step]) -> list[Step]:
    """Return the steps with batch norm folded into the convolution that it alone reads.

    The folded convolution's weight is no longer the stored tensor.
    """
    readers = Counter(value for step in steps for value in step.inputs)
    new_number = {0: 0}  # of a value, by its old number
    result: list[Step] = []
    for old, step in enumerate(steps, 1):
        inputs = tuple(new_number[value] for value in step.inputs)
        source = result[inputs[0] - 1] if inputs[0] else None
        only_reader = readers[step.inputs[0]] == 1
        if (
            isinstance(step.action, Affine)
            and source is not None
            and isinstance(source.action, Convolution)
            and only_reader
        ):
            result[inputs[0] - 1] = replace(source, action=_scaled(source.action, step.action))
            new_number[old] = inputs[0]
        else:
            result.append(replace(step, inputs=inputs))
            new_number[old] = len(result)
    return result


def _scaled(convolution: Convolution, norm: Affine) -> Convolution:
    bias = 0 if convolution.bias is None else convolution.bias
    return replace(
        convolution,
        weight=convolution.weight * norm.scale[:, None, None, None],
        bias=bias * norm.scale + norm.shift,
    )
