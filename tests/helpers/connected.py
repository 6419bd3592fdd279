"""Networks with masks, and the places of their live weights in the graph of channels."""

import torch

from dstbench.core.masks import Masks
from dstbench.core.state import State
from dstbench.graph.channel_graph import ChannelGraph
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
