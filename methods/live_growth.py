"""Mask updates after which every live weight is on a path from an image to a logit.

Drop and grow by themselves cut paths: a dropped weight may be the last one that reads a channel,
and a grown one may read a channel that nothing computes. Its gradient is zero then, and stays so.

Related: Chase and SRigL (Lasby et al. 2024) remove dead channels; here they are reconnected.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from dstbench.config.registry import register
from dstbench.core.drop_grow import DropGrow
from dstbench.core.masks import flat
from dstbench.core.state import State
from dstbench.graph.channel_graph import ChannelGraph
from dstbench.graph.connect import channels_on_paths, connect
from dstbench.methods.connected import (
    channel_graph,
    generator_of,
    places_of,
    set_places_,
)
from dstbench.methods.rigl import RigL
from dstbench.methods.set import SET


def between_paths(state: State, graph: ChannelGraph) -> dict[str, Tensor]:
    """Return masked tensor → bool (numel,), in storage order: which weights connect live channels.

    The input of such a weight depends on the image, and a logit depends on its output, in one of
    the tensor's uses.
    """
    reached, read = channels_on_paths(graph, places_of(state))
    weights = state.masks.parameters
    on = {n: torch.zeros(weights[n].shape[:2], dtype=torch.bool) for n in state.masks}
    for use in graph.uses:
        if use.tensor in on:
            outputs = torch.from_numpy(read[use.step])
            inputs = torch.from_numpy(reached[graph.steps[use.step - 1].inputs[0]])
            on[use.tensor] |= outputs[:, None] & inputs
    return {name: _every_position(pairs, weights[name]) for name, pairs in on.items()}


class _OnPaths(DropGrow):
    """Drops weights off all paths first, grows between channels on paths, and then connects.

    Weights that are off all paths after the update are moved, within their layer, as in
    `Connected`; the counts of layers do not change. Paths are of channels.
    """

    def update(
        self,
        state: State,
        drop_fraction: float,
        targets: dict[str, int] | None = None,
        preferred: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Update as DropGrow does; without `preferred`, weights between channels on paths are."""
        graph = channel_graph(self, state)
        super().update(state, drop_fraction, targets, preferred or between_paths(state, graph))
        before = places_of(state)
        moved = connect(graph, before, generator_of(state))
        trained = [n for n in state.masks if state.masks.parameters[n].requires_grad]
        set_places_(state, {n: moved[n] for n in trained if (moved[n] != before[n]).any()})


@register("parts")
class LiveRigL(_OnPaths, RigL):
    """RigL whose updates keep every live weight on a path."""


@register("parts")
class LiveSET(_OnPaths, SET):
    """SET whose updates keep every live weight on a path."""


def _every_position(pairs: Tensor, weight: Tensor) -> Tensor:
    """Return which weights connect the pairs, (numel,) in storage order.

    pairs: bool (outputs, inputs).
    """
    whole = pairs.reshape(*pairs.shape, *(1,) * (weight.dim() - 2)).expand(weight.shape)
    return flat(torch.empty_like(weight, dtype=torch.bool).copy_(whole))
