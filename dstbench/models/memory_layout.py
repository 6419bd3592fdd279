"""Memory layout of a network's tensors."""

import torch
from torch import nn


def to_channels_last(model: nn.Module) -> nn.Module:
    """Lay out 4-d parameters and buffers as channels_last, in place, and return the model."""
    return to_layout(model, torch.channels_last)


@torch.no_grad()
def to_layout(model: nn.Module, layout: torch.memory_format) -> nn.Module:
    """Lay out 4-d parameters and buffers, in place, and return the model.

    layout: torch.channels_last or torch.contiguous_format. torch's own `model.to` refuses tensors
        of five dimensions, such as the weights of a Conv3d, for the first.

    Others keep their layout, unless they have gaps or overlaps in memory, as a sliced or expanded
    tensor has: masks need a flat view of every weight. Tensors that modules share stay shared.
    """
    for tensor in [*model.parameters(), *model.buffers()]:
        if tensor.dim() == 4:
            tensor.data = tensor.data.to(memory_format=layout)
        elif torch.empty_like(tensor, device="meta").stride() != tensor.stride():
            tensor.data = tensor.data.contiguous()
    return model
