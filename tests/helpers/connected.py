"""Networks with masks, and the places of their live weights in the graph of channels."""

import numpy as np
import torch

from dstbench.core.masks import Masks
from dstbench.core.state import State
from dstbench.graph.channel_graph import ChannelGraph
from dstbench.graph.connect import channels_on_paths
from dstbench.graph.trace import trace
from dstbench.methods.connected import places_of
from dstbench.methods.weight_sharing import WeightSharing

IMAGE = (3, 32, 32)


def new_state(model, seed=0, shares=False) -> State:
    torch.manual_seed(seed)
    state = State(model(10), IMAGE, seed, 1000)
    if shares:
        WeightSharing(2).surgery(state)
        state.masks = Masks(state.model)
    return state


def graph_and_places(state: State):
    graph = ChannelGraph(trace(state.model, IMAGE), IMAGE)
    return graph, places_of(state)


def off_path(graph: ChannelGraph, weights) -> int:
    """Return how many weights are on no path of channels, in any use of their tensor.

    weights: tensor → int64 (weights, 3): output, input and kernel position of each.
    """
    reached, read = channels_on_paths(graph, weights)
    on = {name: np.zeros(len(places), bool) for name, places in weights.items()}
    for use in graph.uses:
        places, source = weights[use.tensor], graph.steps[use.step - 1].inputs[0]
        on[use.tensor] |= reached[source][places[:, 1]] & read[use.step][places[:, 0]]
    return sum(int((~found).sum()) for found in on.values())
