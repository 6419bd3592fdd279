"""First masks in which every live weight is on a path from an image to a logit.

At 99.99 % a random mask leaves no path: every weight's gradient is exactly zero, and stays so.
`Connected` moves the weights that are on no path; `LimitedFanIn` also keeps the live weights in so
few channels that each has some inputs. Counts of layers are those of the budget.

Related: PHEW (Patil & Dovrolis 2021) builds masks from random walks, NPB (Pham et al. 2023)
balances paths and nodes by optimisation, SRigL (Lasby et al. 2024) keeps a constant fan-in.
"""

from abc import ABC, abstractmethod

import numpy as np
import torch

from dstbench.config.registry import register
from dstbench.core.budget import Budget, OfBudget
from dstbench.core.masks import storage_index
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.errors import UserError, require
from dstbench.graph.channel_graph import ChannelGraph
from dstbench.graph.connect import connect
from dstbench.graph.trace import trace
from dstbench.models.network_copy import copy_with


def channel_graph(part: Part, state: State) -> ChannelGraph:
    """Return the channels of the network.

    Raises UserError: when the network has a layer that is not known; the message names the part.
    """
    try:
        shapes = copy_with(state.model, lambda t: torch.zeros_like(t, device="cpu"))
        return ChannelGraph(trace(shapes, state.image_shape), state.image_shape)
    except UserError as error:
        raise UserError(f"{type(part).__name__}: {error.message}", "Method.parts") from None


def generator_of(state: State) -> np.random.Generator:
    """Return a generator that is seeded by the run's."""
    return np.random.default_rng(int(torch.randint(2**62, (), generator=state.rng)))


def places_of(state: State) -> dict[str, np.ndarray]:
    """Return tensor → int64 (live weights, 3): output, input and kernel position of each."""
    places = {}
    for name, weight in state.masks.parameters.items():
        live = state.masks[name] if name in state.masks else torch.ones_like(weight)
        places[name] = live.reshape(*weight.shape[:2], -1).nonzero().cpu().numpy()
    return places


def set_places_(state: State, places: dict[str, np.ndarray]) -> None:
    """Make the weights at these places the live ones.

    places: tensor → int64 (weights, 3): output, input and kernel position of each.
    """
    for name, where in places.items():
        weight = state.masks.parameters[name]
        inputs, positions = weight.shape[1], weight.shape[2:].numel()
        row_order = (where[:, 0] * inputs + where[:, 1]) * positions + where[:, 2]
        state.set_live_(name, storage_index(weight, torch.from_numpy(row_order)))


class Placed(OfBudget, ABC):
    """First masks with a budget's counts, at places that a subclass chooses.

    of: the budget.
    """

    def init_masks(self, state: State) -> None:
        counts = self.of.live_counts(state, self.sparsity)
        rng = generator_of(state)
        graph = channel_graph(self, state)
        places = self.places(state, graph, counts, rng)
        set_places_(state, places)
        unused = (name for name in counts if name not in places)  # by a forward pass; in order
        for name in unused:
            weight = state.masks.parameters[name]
            chosen = rng.choice(weight.numel(), counts[name], replace=False)
            state.set_live_(name, torch.from_numpy(chosen).to(weight.device))

    @abstractmethod
    def places(
        self,
        state: State,
        graph: ChannelGraph,
        counts: dict[str, int],
        rng: np.random.Generator,
    ) -> dict[str, np.ndarray]:
        """Return tensor → int64 (weights, 3): output, input and kernel position of each.

        counts: tensor → live weights.
        """


class _Drawn(Placed):
    """Places that a subclass draws at random; weights that are on no path are moved to one."""

    def places(
        self,
        state: State,
        graph: ChannelGraph,
        counts: dict[str, int],
        rng: np.random.Generator,
    ) -> dict[str, np.ndarray]:
        return connect(graph, self._draw(graph, counts, rng), rng)

    @abstractmethod
    def _draw(
        self, graph: ChannelGraph, counts: dict[str, int], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return tensor → (weights, 3), not moved yet: output, input and kernel position."""


@register("parts")
class Connected(_Drawn):
    """Random first masks; weights that are on no path are moved to one.

    of: the budget that divides live weights among layers, such as @ERK().
    """

    def _draw(
        self, graph: ChannelGraph, counts: dict[str, int], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        places = {}
        for use in graph.uses:
            if use.tensor not in places:
                rows = np.arange(graph.channels[use.target])
                columns = np.arange(graph.channels[use.source])
                places[use.tensor] = _random(rows, columns, use.positions, counts[use.tensor], rng)
        return places


@register("parts")
class LimitedFanIn(_Drawn):
    """Random first masks in a few channels of each layer, so that each has about `fan_in` inputs.

    Between two convolutions, the smaller one's live weights / fan_in channels are used; where more
    meet (at a sum), the mean of their live weights / fan_in. More are used where the live weights
    would not fit. Weights that are on no path are moved to one.

    of: the budget that divides live weights among layers, such as @ERK().
    fan_in: live weights of an output channel, about; positive.
    """

    def __init__(self, of: Budget, fan_in: float = 4.0):
        super().__init__(of)
        require(fan_in > 0, self, "fan_in", fan_in, "positive")
        self.fan_in = fan_in

    def _draw(
        self, graph: ChannelGraph, counts: dict[str, int], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        used = self._spaces(graph, counts, rng)
        places = {}
        for use in graph.uses:
            if use.tensor in places:
                continue
            rows, columns = used[use.target], used[use.source]
            count = counts[use.tensor]
            while len(rows) * len(columns) * use.positions < count:
                smaller = use.target if len(rows) <= len(columns) else use.source
                if len(used[smaller]) == graph.channels[smaller]:
                    smaller = use.source if smaller == use.target else use.target
                others = np.setdiff1d(np.arange(graph.channels[smaller]), used[smaller])
                used[smaller] = np.append(used[smaller], rng.choice(others))
                rows, columns = used[use.target], used[use.source]
            places[use.tensor] = _random(rows, columns, use.positions, count, rng)
        return places

    def _spaces(
        self, graph: ChannelGraph, counts: dict[str, int], rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Return the channels of each space that are used."""
        used = []
        for space, channels in enumerate(graph.channels):
            writers = [counts[use.tensor] for use in graph.uses if use.target == space]
            readers = [counts[use.tensor] for use in graph.uses if use.source == space]
            size = float(channels)  # of the images and of the logits all channels are used
            if writers and readers:
                alone = len(writers) == len(readers) == 1
                weights = min(*writers, *readers) if alone else np.mean(writers + readers)
                size = max(1.0, min(size, round(weights / self.fan_in)))
            used.append(rng.choice(channels, int(size), replace=False))
        return used


def _random(
    rows: np.ndarray, columns: np.ndarray, positions: int, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Return `count` distinct random places (output, input, kernel position), int64 (count, 3)."""
    sizes = (len(rows), len(columns), positions)
    flat = rng.choice(int(np.prod(sizes)), count, replace=False)
    row, column, position = np.unravel_index(flat, sizes)
    return np.stack([rows[row], columns[column], position], 1)
