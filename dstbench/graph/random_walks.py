"""Random walks from channel to channel, through weights, between the images and the logits.

A walk goes on with a probability in proportion to the sum of the magnitudes of the kernel between
two channels, and meets one position of that kernel, in proportion to its magnitude. Where values
part or meet, each way is equally likely. A shortcut without weights, around others, is no way.
"""

from collections.abc import Mapping

import numpy as np

from dstbench.graph.channel_graph import Array, ChannelGraph
from dstbench.graph.steps import Step


class RandomWalks:
    """Draws walks forward from the channels of the images, and backward from the logits.

    graph: the channels of the network.
    magnitudes: tensor → (outputs, inputs, positions), zero or more.
    rng: of the draws.

    starts: tensor → number of its first weight. A weight's number is this plus its flat index in
        row order.
    size: weights of all these tensors.
    """

    def __init__(
        self, graph: ChannelGraph, magnitudes: Mapping[str, Array], rng: np.random.Generator
    ):
        self.graph, self.magnitudes, self.rng = graph, magnitudes, rng
        self.starts: dict[str, int] = {}
        self.size = 0
        self._onward: dict[str, tuple[Array, Array]] = {}  # backward, forward
        for tensor in dict.fromkeys(use.tensor for use in graph.uses):
            self.starts[tensor] = self.size
            self.size += magnitudes[tensor].size
            kernels = magnitudes[tensor].sum(2, dtype=np.float64)
            self._onward[tensor] = _cumulative(kernels), _cumulative(kernels.T)
        self._ways, self._ways_back = _ways(graph.steps)
        self._uses = {use.step: (column, use) for column, use in enumerate(graph.uses)}

    def forward(self, starts: Array) -> Array:
        """Return the numbers of the weights that walks meet, (walks, convolutions), −1 for none.

        starts: (walks,), the channel of the images that each begins at. Weights are in the order in
            which they are met.
        """
        at, channels = np.zeros(len(starts), np.int64), starts.copy()
        met = np.full((len(starts), len(self._uses)), -1)
        for value in range(len(self.graph.steps)):
            here = np.flatnonzero(at == value)
            if len(here):
                at[here] = self.rng.choice(self._ways[value], len(here))
            for step in self._ways[value] if len(here) else ():
                if step in self._uses:
                    walks = here[at[here] == step]
                    self._pass(step, walks, channels, met, forward=True)
        return met

    def backward(self, starts: Array) -> Array:
        """Return the same of walks from the logits to the images.

        starts: (walks,), the logit that each begins at.
        """
        last = len(self.graph.steps)
        at, channels = np.full(len(starts), last), starts.copy()
        met = np.full((len(starts), len(self._uses)), -1)
        for value in range(last, 0, -1):
            here = np.flatnonzero(at == value)
            if len(here):
                self._pass(value, here, channels, met, forward=False)
                at[here] = self.rng.choice(self._ways_back[value], len(here))
        return met[:, ::-1]

    def _pass(self, step: int, walks: Array, channels: Array, met: Array, forward: bool) -> None:
        """Take walks through a step, in place; one that is no convolution keeps their channels."""
        if step not in self._uses:
            return
        column, use = self._uses[step]
        kernels = self.magnitudes[use.tensor]
        before = channels[walks]
        after = self._draw(self._onward[use.tensor][forward], before)
        outputs, inputs = (after, before) if forward else (before, after)
        rows = outputs * kernels.shape[1] + inputs
        positions = self._draw(
            _cumulative(kernels.reshape(-1, kernels.shape[2])[rows]), np.arange(len(walks))
        )
        met[walks, column] = self.starts[use.tensor] + rows * kernels.shape[2] + positions
        channels[walks] = after

    def _draw(self, cumulative: Array, rows: Array) -> Array:
        """Return a column for each row number, with the probabilities of that row."""
        columns = cumulative.shape[1]
        points = rows + self.rng.random(len(rows))
        places = np.searchsorted(cumulative.ravel(), points, side="right")
        return np.minimum(places - rows * columns, columns - 1)  # rounded up to the next row's


def _cumulative(weights: Array) -> Array:
    """Return the cumulative probabilities of each row, plus its number.

    Entries of a row of zeros are equally likely.
    """
    sums = np.cumsum(np.where(weights.any(1, keepdims=True), weights, 1), 1, dtype=np.float64)
    return sums / sums[:, -1:] + np.arange(len(weights))[:, None]


def _ways(steps: list[Step]) -> tuple[list[list[int]], list[list[int]]]:
    """Return the values that a walk can go on to from each, forward and backward.

    A value that is added to what was computed from it is a shortcut without weights, and no way.
    """
    before: list[set[int]] = [set()]  # the values that each is computed from
    back: list[list[int]] = [[]]
    for step in steps:
        inputs = dict.fromkeys(step.inputs)
        back.append([v for v in inputs if not any(v in before[other] for other in inputs)])
        before.append(set(inputs).union(*(before[v] for v in inputs)))
    onward: list[list[int]] = [[] for _ in back]
    for value in range(len(back) - 1, 0, -1):
        if value == len(steps) or onward[value]:  # a logit depends on it
            for source in back[value]:
                onward[source].insert(0, value)
    return onward, back
