"""Which channels of each value matter: those that are not constant and that a logit needs."""

import numpy as np

from dstbench.data.images import Shape
from dstbench.deployment.compiler.expressions import Bias
from dstbench.graph.steps import Convolution, Flatten, Step


def live_channels(
    steps: list[Step], image_shape: Shape, constants: list[list[Bias | None]]
) -> list[np.ndarray]:
    """Return the numbers of the live channels of every value, the image first.

    All logits count as live.

    image_shape: channels, height, width.
    constants: of every channel of every value, as `constants_of` returns them.
    """
    shapes = [image_shape, *(step.shape for step in steps)]
    live: list[np.ndarray] = []
    for number, needed in enumerate(_needed_channels(steps, shapes)):
        varies = np.array([constant is None for constant in constants[number]])
        channels = np.flatnonzero(needed & varies)
        if number and isinstance(steps[number - 1].action, Flatten):
            # Flattening keeps or drops all pixels of a channel together.
            source = steps[number - 1].inputs[0]
            area = shapes[number][0] // shapes[source][0]
            channels = (live[source][:, None] * area + np.arange(area)).reshape(-1)
        live.append(channels)
    live[-1] = np.arange(shapes[-1][0])
    return live


def _needed_channels(steps: list[Step], shapes: list[Shape]) -> list[np.ndarray]:
    """Return whether a logit needs each channel of every value, bool (channels,) each."""
    needed = [np.zeros(shape[0], bool) for shape in shapes]
    needed[-1][:] = True
    for number, step in reversed(list(enumerate(steps, 1))):
        for value in step.inputs:
            if isinstance(step.action, Convolution):
                read = dense_weight(step.action)[needed[number]].any((0, 2, 3))
            elif isinstance(step.action, Flatten):
                read = needed[number].reshape(shapes[value][0], -1).any(1)
            else:
                read = needed[number]
            needed[value] |= read
    return needed


def dense_weight(convolution: Convolution) -> np.ndarray:
    """Return the weight times its factor, (outputs, inputs, rows, columns), zeros across groups."""
    weight = convolution.weight * convolution.factor
    if convolution.groups == 1:
        return weight
    outputs, inputs = weight.shape[:2]
    dense = np.zeros((outputs, inputs * convolution.groups, *weight.shape[2:]))
    for output in range(outputs):
        first = output // (outputs // convolution.groups) * inputs
        dense[output, first : first + inputs] = weight[output]
    return dense
