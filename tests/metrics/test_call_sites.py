"""Call sites of prunable tensors, and their output positions."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dstbench.metrics.call_sites import CallSite, call_sites, recorded_calls
from dstbench.models.resnet import ResNet20


@pytest.mark.parametrize(
    "layer, shape, positions",
    [
        (nn.Conv1d(2, 3, 3), (2, 7), 5),
        (nn.Conv2d(2, 3, 3, stride=2, padding=1, padding_mode="reflect"), (2, 7, 8), 4 * 4),
        (nn.Conv3d(2, 3, 2, dilation=2), (2, 4, 5, 6), 2 * 3 * 4),
        (nn.ConvTranspose2d(2, 3, 4, stride=2), (2, 5, 6), 5 * 6),
        (nn.Linear(4, 3), (6, 4), 6),
    ],
)
def test_call_sites_positions_of_each_kind_of_layer(layer, shape, positions):
    assert call_sites(layer, shape) == [CallSite("weight", (positions,))]


class ScaledReuse(nn.Module):
    """One weight, used by its own layer and, times a scale, at another resolution."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(self.conv(x), self.conv.weight * self.scale, stride=2, padding=1)


def test_call_sites_follow_a_weight_through_its_product_with_a_scale():
    sites = call_sites(ScaledReuse(), (2, 4, 4))
    assert sites == [CallSite("conv.weight", (16,)), CallSite("conv.weight", (4,))]


def test_call_sites_of_a_forward_pass_that_reads_values():
    class ReadsValues(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x) if x.sum().item() == 0 else x

    assert call_sites(ReadsValues(), (2,)) == [CallSite("linear.weight", (1,))]


class Products(nn.Module):
    """Every kind of product that is not one with a prunable weight."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.own = nn.Parameter(torch.zeros(4, 4))
        self.gru = nn.GRU(4, 4)
        self.attention = nn.MultiheadAttention(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x) @ x.transpose(1, 2) @ x
        x = F.linear(x, self.own) + torch.einsum("bnd,de->bne", x, self.own)
        x = self.attention(x, x, x)[0]
        return self.gru(F.scaled_dot_product_attention(x, x, x))[0]


def test_recorded_calls_lists_products_that_are_not_counted():
    calls = recorded_calls(Products(), (3, 4))
    assert {site.name for site in calls.sites} == {
        "linear.weight", "attention.in_proj_weight", "attention.out_proj.weight",
    }  # fmt: skip
    assert calls.uncounted == {
        "matmul": 2,
        "linear with own": 1,
        "einsum with own": 1,
        "products of queries, keys and values": 1,
        "scaled_dot_product_attention": 1,
        "gru with gru.weight_ih_l0 and gru.weight_hh_l0": 1,
    }


def test_recorded_calls_of_a_residual_network_leave_nothing_out():
    assert recorded_calls(ResNet20(10, width=4), (3, 8, 8)).uncounted == {}


def test_recorded_calls_of_shapes_alone_are_those_of_values():
    with torch.device("meta"):
        by_shape = ResNet20(10, width=4)
    calls = recorded_calls(by_shape, (3, 8, 8))
    assert calls == recorded_calls(ResNet20(10, width=4), (3, 8, 8)) and len(calls.sites) == 22


def test_recorded_calls_of_shapes_alone_refuse_a_batch_norm_of_other_channels():
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(5))
    with pytest.raises(RuntimeError):
        recorded_calls(model, (3, 8, 8))
