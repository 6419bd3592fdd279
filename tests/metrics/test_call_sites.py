"""Call sites of prunable tensors, and their output positions."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dstbench.metrics.call_sites import CallSite, call_sites


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
