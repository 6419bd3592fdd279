"""Masks of given live counts with every live weight on a path from the image to a logit.

Paths are of pixels: a weight that reads only padding, or writes only pixels that no later weight
reads, is on none.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from dstbench.data.images import Shape
from dstbench.deployment.compiler.window import Window
from dstbench.errors import UserError
from dstbench.graph.steps import Convolution, Flatten, Pool, Step


def connected_masks(
    steps: list[Step], image_shape: Shape, counts: Mapping[str, int], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return name → flat indices in row order of the live weights of every convolution.

    A backward pass draws each layer's weights so that they write pixels that are read. A forward
    pass moves every weight that no signal reaches to where one does. Moving takes no reader from a
    pixel that is reached, so afterwards every weight is on a path.

    steps: of the network.
    image_shape: channels, height, width.
    counts: name → live weights.
    rng: of the draws.

    Raises UserError: when a convolution has groups, or its live weights cannot all be on paths.
    """
    shapes = [image_shape, *(step.shape for step in steps)]
    read = [np.zeros(shape, bool) for shape in shapes]
    read[-1][:] = True
    draws: dict[int, _Draw] = {}
    for number, step in reversed(list(enumerate(steps, 1))):
        (first, *_) = step.inputs
        if isinstance(step.action, Convolution):
            draw = _Draw(step.action, shapes[first], step.shape, counts[step.action.tensor], rng)
            draw.choose(read[number])
            draw.mark_read(read[number], read[first])
            draws[number] = draw
        else:
            for value in step.inputs:
                read[value] |= _pixels_read(step, read[number], shapes[value])
    reached = [np.zeros(shape, bool) for shape in shapes]
    reached[0][:] = True
    for number, step in enumerate(steps, 1):
        if number in draws:
            draws[number].move(reached[step.inputs[0]], read[number])
            draws[number].mark_reached(reached[step.inputs[0]], reached[number])
        else:
            for value in step.inputs:
                reached[number] |= _pixels_reached(step, reached[value])
    return {draw.action.tensor: draw.flat_indices() for _, draw in sorted(draws.items())}


def _pool_window(action: Pool, input_shape: Shape, output_shape: Shape) -> Window:
    sizes = (input_shape[1:], output_shape[1:])
    return Window(action.window, action.stride, action.padding, (1, 1), *sizes)


def _pixels_read(step: Step, pixels: np.ndarray, input_shape: Shape) -> np.ndarray:
    """Return the input pixels that chosen output pixels of a step are computed from, bool."""
    if isinstance(step.action, Flatten):
        return pixels.reshape(input_shape)
    if not isinstance(step.action, Pool):
        return pixels
    result = np.zeros(input_shape, bool)
    window = _pool_window(step.action, input_shape, step.shape)
    for position in window.positions:
        window.mark_read(result, pixels, *position)
    return result


def _pixels_reached(step: Step, pixels: np.ndarray) -> np.ndarray:
    """Return the output pixels of a step that are computed from chosen input pixels, bool."""
    if isinstance(step.action, Flatten):
        return pixels.reshape(step.shape)
    if not isinstance(step.action, Pool):
        return pixels
    channels, height, width = pixels.shape
    window = _pool_window(step.action, (channels, height, width), step.shape)
    reads = [
        [window.read(plane, *position, outside=False) for plane in pixels]
        for position in window.positions
    ]
    return np.asarray(np.array(reads).any(0))


class _Draw:
    """The live weights of one convolution, drawn at random.

    action: the convolution.
    live: (output, input, index into `_positions`) of the weights so far.
    """

    def __init__(
        self,
        action: Convolution,
        input_shape: Shape,
        output_shape: Shape,
        count: int,
        rng: np.random.Generator,
    ):
        if action.groups != 1:
            raise UserError("Worst cases are made of convolutions without groups only.")
        self.action, self._count, self._rng = action, count, rng
        _, _, rows, columns = action.weight.shape
        sizes = (input_shape[1:], output_shape[1:])
        self._window = Window(
            (rows, columns), action.stride, action.padding, action.dilation, *sizes
        )
        self._positions = [p for p in self._window.positions if self._window.inside(*p).any()]
        self._inside = [self._window.inside(*p) for p in self._positions]
        self.live: set[tuple[int, int, int]] = set()

    def choose(self, read: np.ndarray) -> None:
        """Draw weights of as many distinct outputs and inputs as possible.

        read: output pixels that are read, bool (outputs, height, width).
        """
        outputs = _random_rounds(np.flatnonzero(read.any((1, 2))), self._rng)
        inputs = _random_rounds(np.arange(self.action.weight.shape[1]), self._rng)
        self._fill(outputs, inputs, lambda o, i, p: bool((read[o] & self._inside[p]).any()))

    def move(self, reached: np.ndarray, read: np.ndarray) -> None:
        """Move weights that no signal reaches to where one does, and their output is read.

        reached: input pixels that a signal reaches, bool (inputs, height, width).
        read: output pixels that are read, bool (outputs, height, width).
        """
        signals: dict[tuple[int, int], np.ndarray] = {}

        def on_path(output: int, channel: int, position: int) -> bool:
            if (channel, position) not in signals:
                signals[channel, position] = self._window.read(
                    reached[channel], *self._positions[position], outside=False
                )
            return bool((signals[channel, position] & read[output]).any())

        outputs = sorted({weight[0] for weight in self.live})
        self.live = {weight for weight in self.live if on_path(*weight)}
        orphaned = sorted(set(outputs) - {weight[0] for weight in self.live})
        inputs = _random_rounds(np.flatnonzero(reached.any((1, 2))), self._rng)
        any_output = _random_rounds(np.array(outputs), self._rng)
        self._fill(itertools.chain(orphaned, any_output), inputs, on_path)

    def _fill(
        self,
        outputs: Iterator[int],
        inputs: Iterator[int],
        allowed: Callable[[int, int, int], bool],
    ) -> None:
        """Add allowed weights until there are as many as wanted."""
        tries = 1000 + 100 * self.action.weight.size
        while len(self.live) < self._count:
            position = int(self._rng.integers(len(self._positions)))
            weight = (next(outputs), next(inputs), position)
            if weight not in self.live and allowed(*weight):
                self.live.add(weight)
                continue
            tries -= 1
            if not tries:
                raise UserError(
                    f"{self.action.tensor}: {self._count} live weights cannot all be on paths. "
                    "Choose another sparsity or a larger image."
                )

    def mark_read(self, read: np.ndarray, into: np.ndarray) -> None:
        """Set the input pixels that the weights read for output pixels that are read, in place."""
        for channel, position, outputs in self._by_input():
            pixels = np.asarray(read[outputs].any(0))[None]
            planes = into[channel : channel + 1]
            self._window.mark_read(planes, pixels, *self._positions[position])

    def mark_reached(self, reached: np.ndarray, into: np.ndarray) -> None:
        """Set the output pixels that the weights write from reached input pixels, in place."""
        for channel, position, outputs in self._by_input():
            into[outputs] |= self._window.read(
                reached[channel], *self._positions[position], outside=False
            )

    def _by_input(self) -> Iterator[tuple[int, int, list[int]]]:
        """Yield each input and position that weights read, with the outputs of these weights."""
        outputs: dict[tuple[int, int], list[int]] = {}
        for output, channel, position in self.live:
            outputs.setdefault((channel, position), []).append(output)
        for (channel, position), writers in outputs.items():
            yield channel, position, writers

    def flat_indices(self) -> np.ndarray:
        """Return the flat indices of the live weights in row order."""
        live = [(o, i, *self._positions[p]) for o, i, p in sorted(self.live)]
        return np.ravel_multi_index(tuple(np.array(live).T), self.action.weight.shape)


def _random_rounds(channels: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    """Yield each channel once, in random order, again and again."""
    while True:
        yield from rng.permutation(channels).tolist()
