"""Networks whose masks a part has chosen, from batches of noise or from batches that are given."""

import itertools

import torch
from torch import nn

from dstbench.core.masks import flat
from dstbench.core.state import State
from helpers.tiny_runs import IMAGE, Noise, tiny_resnet


def state_of(model=None, batches=None, seed=0):
    """Return a State whose masks are not chosen yet.

    model: a tiny residual network by default.
    batches: a list of (images, labels); endless noise by default.
    """
    model = tiny_resnet() if model is None else model
    shape = IMAGE if batches is None else tuple(batches[0][0].shape[1:])
    state = State(model, shape, seed, 10)
    endless = map(Noise().at, itertools.count())
    state.batches = endless if batches is None else iter(batches)
    return state


def pruned(part, model=None, batches=None, seed=0):
    """Return the State after `part` has chosen its masks."""
    state = state_of(model, batches, seed)
    part.init_masks(state)
    return state


def live_of(state):
    """Return the live weights of all tensors one after another, (total,) bool."""
    return torch.cat([flat(mask) for mask in state.masks.values()])


def linear(rows):
    """Return a network of one linear layer without bias, with these weights."""
    weight = torch.tensor(rows)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight.data.copy_(weight)
    return nn.Sequential(nn.Flatten(), layer)
