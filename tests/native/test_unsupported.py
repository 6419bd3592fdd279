"""What native training does not know is refused by name when a network is compiled."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dstbench.core.masks import Masks
from dstbench.core.state import State
from dstbench.graph.unsupported import Unsupported
from dstbench.models.precision import autocast_for
from dstbench.native.network import NativeNetwork
from dstbench.training.engines.native_engine import NativeEngine
from dstbench.training.engines.torch_engine import TorchEngine


class Scaled(nn.Module):
    """A convolution whose weight is multiplied by what `factor` returns."""

    def __init__(self, factor):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, 3, 3))
        self.scale, self.factor = nn.Parameter(torch.ones(())), factor

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.factor(self), padding=1)


class ComputedNorm(nn.BatchNorm2d):
    """A batch norm whose weight is computed."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.exp()
        return F.batch_norm(
            x, self.running_mean, self.running_var, weight, self.bias, self.training, 0.1, 1e-5
        )


def compiled(*layers: nn.Module) -> NativeNetwork:
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    model = nn.Sequential(*layers, *head)
    return NativeNetwork(model, Masks(model), (3, 8, 8))


@pytest.mark.parametrize(
    "layers, named",
    [
        ((nn.Conv2d(3, 4, 3), nn.GELU()), "GELU at 1"),
        ((nn.Conv2d(3, 4, 3), ComputedNorm(4)), "batch norm"),
        ((Scaled(lambda m: m.weight * m.scale.exp()),), "a computed number"),
        ((Scaled(lambda m: m.weight * m.scale * 0.5),), "scale · 0.5"),
        ((Scaled(lambda m: m.weight * 0.5 * m.scale),), "0.5 · 0.scale"),
    ],
)
def test_unknown_layer_is_refused_by_name(layers, named):
    with pytest.raises(Unsupported, match=named):
        compiled(*layers)


@pytest.mark.parametrize("factor", [lambda m: m.weight * m.scale, lambda m: m.weight * 0.5])
def test_weight_times_a_scale_or_a_number_is_known(factor):
    compiled(Scaled(factor))


def test_engine_takes_torch_where_the_network_is_not_known():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    state = State(model, (3, 8, 8), seed=0, total_steps=10)
    autocast = autocast_for("fp32", torch.device("cpu"))
    engine = NativeEngine(state, TorchEngine(state.model, autocast))
    assert not engine.compile_() and "GELU at 1" in engine.problem
