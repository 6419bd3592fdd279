"""Weights of any number of dimensions are laid out so that they have a flat view."""

import torch
from torch import nn

from dstbench.core.masks import flat
from dstbench.models.memory_layout import to_channels_last, to_layout


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.flat = nn.Conv2d(4, 8, 3)
        self.cube = nn.Conv3d(2, 4, 3)
        self.register_buffer("table", torch.zeros(1, 2, 1, 3, 1, 2))
        self.wide = nn.Linear(6, 4)
        self.wide.weight = nn.Parameter(torch.randn(4, 12)[:, ::2])
        self.tied = nn.Linear(6, 4)
        self.tied.weight = self.wide.weight


def test_to_channels_last_lays_out_4d_tensors_and_keeps_values_and_sharing():
    model = Mixed()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    to_channels_last(model)
    assert model.flat.weight.is_contiguous(memory_format=torch.channels_last)
    assert model.cube.weight.is_contiguous()
    assert model.tied.weight is model.wide.weight
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
        assert flat(tensor).numel() == tensor.numel()


def test_to_layout_takes_networks_with_5d_tensors_there_and_back():
    model = Mixed()
    for layout in (torch.channels_last, torch.contiguous_format):
        assert to_layout(model, layout) is model
        assert model.flat.weight.is_contiguous(memory_format=layout)
        assert model.cube.weight.is_contiguous()
