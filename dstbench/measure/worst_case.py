"""A network that is as hard to make fast as its sparsity allows: every live weight is on a path.

Training may leave weights that no signal reaches, and a compiled network is faster for each. Here
there are none: the exact ERK counts, spread over as many channels as paths allow, and batch norm
with statistics of a trained network's kind, so that no constant vanishes by luck.
"""

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from dstbench.core.budgets import ERK
from dstbench.core.masks import Masks
from dstbench.core.state import State
from dstbench.data.images import Shape
from dstbench.deploy.compiler.graph import Convolution, Flatten, Pool, Step
from dstbench.deploy.compiler.trace import trace
from dstbench.deploy.compiler.window import Window
from dstbench.errors import UserError


def worst_case(
    model: type[nn.Module],
    sparsity: float,
    seed: int = 0,
    image_shape: Shape = (3, 32, 32),
    num_classes: int = 10,
) -> tuple[nn.Module, Masks]:
    """(network in eval mode, its masks), every live weight on a path of live weights.

    sparsity: fraction removed; the counts are ERK's. seed: of weights, masks and statistics.
    Raises UserError when ERK cannot be had at this sparsity or the network cannot be compiled.
    """
    torch.manual_seed(seed)
    network = model(num_classes=num_classes, in_channels=image_shape[0]).eval()
    state = State(network, image_shape, seed, total_steps=1)
    counts = ERK(sparsity).live_counts(state, sparsity)
    steps = trace(network, image_shape)
    chosen = _connected(steps, image_shape, counts, np.random.default_rng(seed))
    for name, positions in chosen.items():
        weight = state.masks.parameters[name]
        kernel = torch.zeros(weight.numel(), dtype=torch.bool)
        kernel[torch.from_numpy(positions)] = True
        at = kernel.view(weight.shape).nonzero().to(weight.device)
        # Along the memory of the weight, whatever its layout.
        index = (at * torch.tensor(weight.stride())).sum(1)
        state.set_live_(name, index)
    _fill_(state, seed)
    return network, state.masks


@torch.no_grad()
def _fill_(state: State, seed: int) -> None:
    """Live weights and batch norm's numbers of the size that training leaves, signs and all."""
    rng = torch.Generator().manual_seed(seed)
    for name, mask in state.masks.items():
        weight = state.masks.parameters[name]
        fan_in = max(1.0, state.masks.live(name) / weight.shape[0])
        drawn = torch.randn(weight.shape, generator=rng) / math.sqrt(fan_in)
        weight.copy_(drawn * mask)
    for module in state.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.5, 1.5),
                (module.bias, -0.3, 0.3),
                (module.running_mean, -0.3, 0.3),
                (module.running_var, 0.5, 2.0),
            ):
                assert tensor is not None
                tensor.uniform_(low, high, generator=rng)


# --- masks ----------------------------------------------------------------------------------------


def _connected(
    steps: list[Step], image_shape: Shape, counts: dict[str, int], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Name → positions in row order of the live weights of every convolution.

    Backwards, each layer writes to pixels that are read; forwards, a weight that no signal reaches
    is moved to where one does. That takes no reader from a pixel that is reached, so afterwards
    every weight is on a path.
    """
    shapes = [image_shape, *(step.shape for step in steps)]
    read = [np.zeros(shape, bool) for shape in shapes]
    read[-1][:] = True
    draws: dict[int, _Draw] = {}
    for number, step in reversed(list(enumerate(steps, 1))):
        (first, *_) = step.inputs
        if isinstance(step.action, Convolution):
            draw = _Draw(step, shapes[first], counts[step.action.tensor], rng)
            draw.choose(read[number])
            draw.spread_back(read[number], read[first])
            draws[number] = draw
        else:
            for value in step.inputs:
                read[value] |= _before(step, read[number], shapes[value])
    reached = [np.zeros(shape, bool) for shape in shapes]
    reached[0][:] = True
    for number, step in enumerate(steps, 1):
        if number in draws:
            draws[number].move(reached[step.inputs[0]], read[number])
            draws[number].spread(reached[step.inputs[0]], reached[number])
        else:
            for value in step.inputs:
                reached[number] |= _after(step, reached[value])
    return {
        step.action.tensor: draws[number].positions()
        for number, step in enumerate(steps, 1)
        if isinstance(step.action, Convolution)
    }


def _window(action: Pool, given: Shape, made: Shape) -> Window:
    return Window(action.window, action.stride, action.before, (1, 1), given[1:], made[1:])


def _before(step: Step, pixels: np.ndarray, shape: Shape) -> np.ndarray:
    """The pixels of an input that the result's pixels come from."""
    if isinstance(step.action, Flatten):
        return pixels.reshape(shape)
    if not isinstance(step.action, Pool):
        return pixels
    result = np.zeros(shape, bool)
    window = _window(step.action, shape, step.shape)
    for place in window.places():
        window.mark(result, pixels, *place)
    return result


def _after(step: Step, pixels: np.ndarray) -> np.ndarray:
    """The pixels of the result that come from an input's."""
    if isinstance(step.action, Flatten):
        return pixels.reshape(step.shape)
    if not isinstance(step.action, Pool):
        return pixels
    channels, height, width = pixels.shape
    window = _window(step.action, (channels, height, width), step.shape)
    seen = [
        [window.at(plane, *place, outside=False) for plane in pixels] for place in window.places()
    ]
    return np.asarray(np.array(seen).any(0))


class _Draw:
    """The live weights of one convolution: which output, which input, which place in the kernel."""

    def __init__(self, step: Step, given: Shape, count: int, rng: np.random.Generator):
        assert isinstance(step.action, Convolution)
        self.action, self.count, self.rng = step.action, count, rng
        if self.action.groups != 1:
            raise UserError("Worst cases are made of convolutions without groups only.")
        _, _, rows, columns = self.action.weight.shape
        self.window = Window(
            (rows, columns), self.action.stride, self.action.before, self.action.dilation,
            given[1:], step.shape[1:],
        )  # fmt: skip
        self.places = [place for place in self.window.places() if self.window.sees(*place).any()]
        self.sees = [self.window.sees(*place) for place in self.places]
        self.taken: set[tuple[int, int, int]] = set()

    def choose(self, read: np.ndarray) -> None:
        """As many distinct outputs as are read, each with inputs as distinct as can be."""
        outputs = _rounds(np.flatnonzero(read.any((1, 2))), self.rng)
        inputs = _rounds(np.arange(self.action.weight.shape[1]), self.rng)
        self._fill(outputs, inputs, lambda o, i, p: bool((read[o] & self.sees[p]).any()))

    def move(self, reached: np.ndarray, read: np.ndarray) -> None:
        """Let every weight read pixels that a signal reaches, where its output is read."""
        seen: dict[tuple[int, int], np.ndarray] = {}

        def alive(output: int, channel: int, place: int) -> bool:
            if (channel, place) not in seen:
                seen[channel, place] = self.window.at(
                    reached[channel], *self.places[place], outside=False
                )
            return bool((seen[channel, place] & read[output]).any())

        outputs = sorted({weight[0] for weight in self.taken})
        self.taken = {weight for weight in self.taken if alive(*weight)}
        bereft = sorted(set(outputs) - {weight[0] for weight in self.taken})
        inputs = _rounds(np.flatnonzero(reached.any((1, 2))), self.rng)
        anywhere = _rounds(np.array(outputs), self.rng)
        self._fill(itertools.chain(bereft, anywhere), inputs, alive)

    def _fill(
        self,
        outputs: Iterator[int],
        inputs: Iterator[int],
        allowed: Callable[[int, int, int], bool],
    ) -> None:
        """Add weights that are allowed until there are enough."""
        tries = 1000 + 100 * self.action.weight.size
        while len(self.taken) < self.count:
            place = int(self.rng.integers(len(self.places)))
            weight = (next(outputs), next(inputs), place)
            if weight not in self.taken and allowed(*weight):
                self.taken.add(weight)
                continue
            tries -= 1
            if not tries:
                raise UserError(
                    f"{self.action.tensor}: {self.count} live weights cannot all be on paths. "
                    "Choose another sparsity or a larger image."
                )

    def spread_back(self, read: np.ndarray, into: np.ndarray) -> None:
        for output, channel, place in self.taken:
            self.window.mark(into[channel : channel + 1], read[output][None], *self.places[place])

    def spread(self, reached: np.ndarray, into: np.ndarray) -> None:
        for output, channel, place in self.taken:
            into[output] |= self.window.at(reached[channel], *self.places[place], outside=False)

    def positions(self) -> np.ndarray:
        at = [(o, i, *self.places[p]) for o, i, p in sorted(self.taken)]
        return np.ravel_multi_index(tuple(np.array(at).T), self.action.weight.shape)


def _rounds(channels: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    """Each channel once, in random order, and over again."""
    while True:
        yield from rng.permutation(channels).tolist()
