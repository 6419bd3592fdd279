"""A network that is as hard to speed up as its sparsity allows: every live weight is on a path.

Training may leave weights that no signal reaches, and a compiled network is faster for each. Here
there are none: exact ERK counts, spread over as many channels as paths allow, and batch norm with
statistics like a trained network's, so that no channel is constant by chance.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from dstbench.core.budgets import ERK
from dstbench.core.masks import Masks, storage_index
from dstbench.core.random_generators import seed_all
from dstbench.core.state import State
from dstbench.data.images import Shape
from dstbench.graph.trace import trace
from dstbench.measure.connected_masks import connected_masks
from dstbench.models.build import build_model


def worst_case(
    model: Callable[..., nn.Module],
    sparsity: float,
    seed: int = 0,
    image_shape: Shape = (3, 32, 32),
    num_classes: int = 10,
) -> tuple[nn.Module, Masks]:
    """Return a network in eval mode and its masks, every live weight on a path of live weights.

    model: its class, or a function that returns the network.
    sparsity: fraction removed; counts of layers are ERK's.
    seed: of weights, masks and statistics.
    image_shape: channels, height, width.
    num_classes: number of logits.

    Raises UserError: when the model cannot be built for such images, ERK cannot reach this
        sparsity, its live weights cannot all be on paths, or the network cannot be compiled.
    """
    seed_all(seed)
    network = build_model(model, num_classes, image_shape).eval()
    state = State(network, image_shape, seed, total_steps=1)
    counts = ERK(sparsity).live_counts(state, sparsity)
    steps = trace(network, image_shape)
    masks = connected_masks(steps, image_shape, counts, np.random.default_rng(seed))
    for name, row_order_indices in masks.items():
        weight = state.masks.parameters[name]
        state.set_live_(name, storage_index(weight, torch.from_numpy(row_order_indices)))
    _fill_(state, seed)
    return network, state.masks


@torch.no_grad()
def _fill_(state: State, seed: int) -> None:
    """Draw live weights and batch norm's numbers of the scale that training leaves, in place."""
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
