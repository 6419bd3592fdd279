"""Steps put in a cheaper order that computes the same."""

from collections import Counter
from dataclasses import replace

import numpy as np

from dstbench.data.images import Shape
from dstbench.deploy.compiler.graph import Convolution, Flatten, Pool, Step


def classify_before_mean(steps: list[Step], image_shape: Shape) -> list[Step]:
    """The mean of all pixels of every channel, then a linear layer, the other way round.

    Both are linear. With few live weights, a weight times a small plane costs less than a mean of
    every channel. Left as they are where the linear layer is too dense for that.
    """
    if len(steps) < 3:
        return steps
    pool, flatten, linear = steps[-3:]
    shapes = [image_shape, *(step.shape for step in steps)]
    given = shapes[pool.inputs[0]]
    readers = Counter(value for step in steps for value in step.inputs)
    in_a_row = (
        isinstance(pool.action, Pool)
        and isinstance(flatten.action, Flatten)
        and isinstance(linear.action, Convolution)
        and (flatten.inputs, linear.inputs) == ((len(steps) - 2,), (len(steps) - 1,))
        and readers[len(steps) - 2] == readers[len(steps) - 1] == 1
    )
    if not in_a_row or pool.action.maximum or pool.action.window != given[1:]:  # type: ignore
        return steps
    weights = np.count_nonzero(linear.action.weight)  # type: ignore[union-attr]
    if weights * given[1] * given[2] > 64 * given[0]:
        return steps
    classes = linear.shape[0]
    return [
        *steps[:-3],
        replace(linear, inputs=pool.inputs, shape=(classes, *given[1:])),
        replace(pool, inputs=(len(steps) - 2,), shape=linear.shape),
    ]
