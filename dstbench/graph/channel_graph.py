"""A network's convolutions and which channels they read and write, without pixels.

Values that are combined channel by channel (sums, norms, activations, pooling) have one *space* of
channels in common. A convolution leads from one space to another.
"""

from dataclasses import dataclass

import numpy as np

from dstbench.data.images import Shape
from dstbench.errors import UserError
from dstbench.graph.steps import Convolution, Flatten, Step

Array = np.ndarray


@dataclass(frozen=True)
class Use:
    """A convolution's use of a stored tensor.

    tensor: its name; several uses of one name share it.
    source, target: the spaces that it reads and writes.
    positions: of its kernel.
    step: number of its step.
    """

    tensor: str
    source: int
    target: int
    positions: int
    step: int


class ChannelGraph:
    """The channels of a traced network.

    steps: as `trace` returns them.
    image_shape: channels, height, width.
    channels: channels of each space; 0 is that of the images, `logits` that of the logits.
    uses: the convolutions, in the order of the forward pass.

    Raises UserError: for a convolution with groups, and a flattened plane of several pixels.
    """

    def __init__(self, steps: list[Step], image_shape: Shape):
        shapes = [image_shape, *(step.shape for step in steps)]
        root = list(range(len(shapes)))

        def find(value: int) -> int:
            while root[value] != value:
                value = root[value]
            return value

        for number, step in enumerate(steps, 1):
            if isinstance(step.action, Convolution):
                if step.action.groups != 1:
                    raise UserError(f"{step.action.tensor} is a convolution with groups.")
                continue
            for value in step.inputs:
                if isinstance(step.action, Flatten) and shapes[value][0] != step.shape[0]:
                    raise UserError("A linear layer reads planes of several pixels.")
                a, b = sorted((find(value), find(number)))
                root[b] = a
        numbers = {value: k for k, value in enumerate(dict.fromkeys(map(find, range(len(root)))))}
        self.space_of = [numbers[find(value)] for value in range(len(root))]
        self.channels = [shapes[value][0] for value in numbers]
        self.logits = self.space_of[-1]
        self.steps = steps
        self.uses: list[Use] = []
        for number, step in enumerate(steps, 1):
            if isinstance(step.action, Convolution):
                source, target = self.space_of[step.inputs[0]], self.space_of[number]
                positions = step.action.weight.shape[2] * step.action.weight.shape[3]
                use = Use(step.action.tensor, source, target, positions, number)
                self.uses.append(use)
