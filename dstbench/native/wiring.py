"""A network channel by channel: its channels, filters, and taps for the present masks."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from dstbench.core.masks import Masks, flat, row_index
from dstbench.native.layers import Filters, Layers, weight_names
from dstbench.native.storage_views import StorageViews

Array = np.ndarray


class Wiring:
    """Numbers of channels and filters; they do not depend on masks.

    The channels of a node are consecutive, and so are the filters of a channel.

    layers: the network.
    channel: first channel of each node, and their number at the end.
    filter: first filter of each node, and their number at the end.
    node_of, height, width, relu, link: of each channel; link is a channel, or -1.
    channel_of, convolution_of, norm, step_row, step_column: of each filter.
    maximum_of: of each channel, the channel whose windows' maximum it is, or -1.
    dynamic_of, dynamic_by: of each channel, the one that it is the dynamic activation of, and the
        one that is its dynamic activation, or -1.
    dynamic: numbers of the nodes that are dynamic activations.
    dynamic_row: of both, the number of the pair; else -1.
    """

    def __init__(self, layers: Layers):
        self.layers = layers
        nodes = layers.nodes
        channels = np.array([node.shape[0] for node in nodes])
        counts = np.array([len(node.filters) for node in nodes])
        self.channel = np.concatenate([[0], np.cumsum(channels)])
        self.filter = np.concatenate([[0], np.cumsum(channels * counts)])
        self.node_of = np.repeat(np.arange(len(nodes)), channels)
        self.height = np.array([node.shape[1] for node in nodes])[self.node_of]
        self.width = np.array([node.shape[2] for node in nodes])[self.node_of]
        self.relu = np.array([node.relu for node in nodes])[self.node_of]
        self.link = np.full(len(self.node_of), -1)
        self.maximum_of = np.full(len(self.node_of), -1)
        self.dynamic_of = np.full(len(self.node_of), -1)
        self.dynamic_by = np.full(len(self.node_of), -1)
        self.dynamic_row = np.full(len(self.node_of), -1)
        self.dynamic = [a for a, node in enumerate(nodes) if node.dynamic is not None]
        filters = int(self.filter[-1])
        self.channel_of, self.convolution_of = np.zeros((2, filters), np.int64)
        for a, node in enumerate(nodes):
            if node.link is not None:
                linked = self.maximum_of if node.maximum else self.link
                if node.dynamic is not None:
                    linked = self.dynamic_of
                    own = np.arange(self.channel[a], self.channel[a + 1])
                    self.dynamic_by[self.of_node(node.link)] = own
                    rows = np.arange(channels[a]) + self.dynamic_row.max() + 1
                    self.dynamic_row[self.of_node(a)] = rows
                    self.dynamic_row[self.of_node(node.link)] = rows
                linked[self.of_node(a)] = np.arange(channels[a]) + self.channel[node.link]
            for number in node.filters:
                ids = self.of_filters(number)
                self.channel_of[ids] = np.arange(channels[a]) + self.channel[a]
                self.convolution_of[ids] = number
        convolutions = layers.filters
        self.norm = np.array([c.norm is not None for c in convolutions])[self.convolution_of]
        strides = np.array([c.stride for c in convolutions]).reshape(-1, 2)[self.convolution_of]
        self.step_row, self.step_column = strides.T

    def of_node(self, node: int) -> slice:
        """Return the channels of a node."""
        return slice(int(self.channel[node]), int(self.channel[node + 1]))

    def of_filters(self, number: int) -> slice:
        """Return the filters of a convolution, in the order of its outputs."""
        node = next(a for a, n in enumerate(self.layers.nodes) if number in n.filters)
        own = self.layers.nodes[node].filters
        first = int(self.filter[node]) + own.index(number)
        return slice(first, int(self.filter[node + 1]), len(own))


@dataclass(frozen=True)
class Taps:
    """Live weights, where convolutions use them; grouped by convolution.

    filter, channel: which filter reads which channel.
    row, column: by how many pixels the channel is moved.
    value: number of the weight in the vector of all weights; -1 for a fixed weight.
    convolution: number of the convolution.
    weight: its fixed weight, or the number that its weight is multiplied by.
    """

    filter: Array
    channel: Array
    row: Array
    column: Array
    value: Array
    convolution: Array
    weight: Array

    def __getitem__(self, chosen: Array) -> "Taps":
        return Taps(**{name: column[chosen] for name, column in self.__dict__.items()})

    def __len__(self) -> int:
        return len(self.filter)


class WeightVector:
    """All weights that a network uses as one vector: the live ones of each tensor, in turn.

    names: of the tensors.
    first: number of each tensor's first weight, and the number of all at the end.
    """

    def __init__(self, layers: Layers, model: nn.Module, masks: Masks):
        parameters = dict(model.named_parameters())
        self.names = weight_names(layers)
        self.parameters: dict[str, Tensor] = {name: parameters[name] for name in self.names}
        self.index: dict[str, Tensor | None] = {
            name: masks.index(name) if name in masks else None for name in self.names
        }
        counts = [
            self.parameters[name].numel() if index is None else len(index)
            for name, index in self.index.items()
        ]
        self.first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._counts = counts
        masked = {id(p) for name, p in self.parameters.items() if name in masks}
        self._stored = StorageViews(
            list(self.parameters.values()), lambda t: flat(t) if id(t) in masked else t.detach()
        )
        self._live = [None if index is None else index.numpy() for index in self.index.values()]
        self._ranges = [slice(int(a), int(b)) for a, b in pairwise(self.first)]

    def __len__(self) -> int:
        return int(self.first[-1])

    def range(self, name: str) -> slice:
        """Return where a tensor's weights are."""
        number = self.names.index(name)
        return slice(int(self.first[number]), int(self.first[number + 1]))

    def logical(self, name: str) -> Array:
        """Return the row-major flat indices of a tensor's weights in the vector."""
        parameter, index = self.parameters[name], self.index[name]
        if index is None:
            return np.arange(parameter.numel())
        return row_index(parameter, index.cpu()).numpy()

    def read(self) -> Array:
        """Return the present values of all weights, float64."""
        values = np.empty(len(self))
        for own, live, stored in zip(self._ranges, self._live, self._stored.current(), strict=True):
            values[own] = stored.reshape(-1) if live is None else stored[live]
        return values

    def write_gradients(self, gradients: Array, masks: Masks) -> None:
        """Set the gradients of the weights: of masked tensors in `masks.live_gradients`."""
        dtype = next(iter(self.parameters.values())).dtype
        parts = torch.from_numpy(gradients).to(dtype).split(self._counts)
        for name, found in zip(self.names, parts, strict=True):
            parameter = self.parameters[name]
            if not parameter.requires_grad:
                continue
            if self.index[name] is None:
                parameter.grad = found.view(parameter.shape)
            else:
                masks.live_gradients[name] = found


def taps_of(wiring: Wiring, weights: WeightVector) -> Taps:
    """Return the taps of all convolutions."""
    parts = [
        _taps_of_convolution(wiring, weights, number, filters)
        for number, filters in enumerate(wiring.layers.filters)
    ]
    columns = (np.concatenate([part[k] for part in parts]) for k in range(7))
    return Taps(*columns)


def taps_by_convolution(wiring: Wiring, taps: Taps) -> list[slice]:
    """Return where the taps of each convolution are, which are grouped by it."""
    count = len(wiring.layers.filters)
    bounds = np.searchsorted(taps.convolution, np.arange(count + 1))
    return [slice(int(a), int(b)) for a, b in pairwise(bounds)]


def _taps_of_convolution(
    wiring: Wiring, weights: WeightVector, number: int, filters: Filters
) -> tuple[Array, ...]:
    inputs = wiring.layers.nodes[filters.input].shape[0] // filters.groups
    sizes = (filters.outputs, inputs, *filters.kernel)
    if filters.weight is None:
        flat_indices = np.arange(int(np.prod(sizes)))
        value = np.full(len(flat_indices), -1)
    else:
        flat_indices = weights.logical(filters.weight)
        value = np.arange(len(flat_indices)) + weights.range(filters.weight).start
    output, channel, row, column = np.unravel_index(flat_indices, sizes)
    group = output // (filters.outputs // filters.groups)
    ids = np.arange(wiring.filter[-1])[wiring.of_filters(number)]
    factor = filters.fixed if filters.weight is None else filters.factor
    return (
        ids[output],
        channel + group * inputs + wiring.channel[filters.input],
        row * filters.dilation[0] - filters.padding[0],
        column * filters.dilation[1] - filters.padding[1],
        value,
        np.full(len(flat_indices), number),
        np.full(len(flat_indices), factor),
    )
