"""A State with two layers of eight weights each: live weights may move from one to the other."""

import torch
from torch import nn

from dstbench.core.state import State


def two_layers(first, second, live=range(4), seed=0, total_steps=100):
    """Return a State whose tensors `0.weight` and `1.weight` have these weights, eight each.

    live: flat indices of the live weights of each.
    """
    model = nn.Sequential(nn.Linear(8, 1, bias=False), nn.Linear(8, 1, bias=False))
    state = State(model, (1, 1, 8), seed, total_steps)
    for weights, layer, name in zip((first, second), model, state.masks.parameters, strict=True):
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([[float(w) for w in weights]]))
        state.set_live_(name, torch.tensor(list(live)))
    return state


def live_of(state):
    """Return the set of live flat indices of each tensor."""
    return [set(state.masks.index(name).tolist()) for name in state.masks]
