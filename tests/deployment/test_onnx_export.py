"""The dense ONNX model computes the same logits in onnxruntime."""

import pytest
import torch
from helpers.deploy_networks import IMAGE, logits_of, noise, random_net
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dstbench.deployment.onnx_export import onnx_bytes, onnx_logits
from dstbench.deployment.verify import relative_error
from dstbench.graph.trace import trace


def error_of(model):
    images = noise(3)
    logits = onnx_logits(onnx_bytes(trace(model, IMAGE), IMAGE), images.numpy())
    return relative_error(logits, logits_of(model, images))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"head": "flat", "pool": "max"},
        {"shared": True, "pool": "ceil", "sparsity": 0.95},
        {"pool": "mean", "sparsity": 1.0},
    ],
    ids=str,
)
def test_onnx_has_same_logits(options):
    assert error_of(random_net(0, **options)) <= 1e-4


class Added(nn.Module):
    """Adds a 1×1 convolution of pooled planes to them."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(IMAGE[0], IMAGE[0], 1)

    def forward(self, x):
        return x + self.conv(x)


CHANNELS = IMAGE[0]
ONE_PIXEL = {
    "norm of a hidden layer": (
        nn.Flatten(), nn.Linear(CHANNELS, 9), nn.ReLU(), nn.BatchNorm1d(9), nn.Linear(9, 10)
    ),
    "sum of pooled planes": (Added(), nn.ReLU(), nn.Flatten(), nn.Linear(CHANNELS, 10)),
}  # fmt: skip


@pytest.mark.parametrize("layers", ONE_PIXEL.values(), ids=ONE_PIXEL)
def test_values_of_one_pixel_are_planes_as_well(layers):
    torch.manual_seed(0)
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), *layers)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean)
            nn.init.normal_(module.bias)
    assert error_of(model.eval()) <= 1e-4


@pytest.mark.slow
@given(
    seed=st.integers(0, 10**6),
    sparsity=st.sampled_from([0.0, 0.8, 0.95, 1.0]),
    pool=st.sampled_from(["none", "max", "ceil", "mean"]),
    shared=st.booleans(),
    head=st.sampled_from(["mean", "flat"]),
)
def test_onnx_has_same_logits_for_random_architectures(seed, **options):
    assert error_of(random_net(seed, **options)) <= 1e-4


def test_onnx_leaves_dead_channels_out():
    sparse, dense = (
        onnx_bytes(trace(random_net(0, width=16, sparsity=sparsity), IMAGE), IMAGE)
        for sparsity in (0.99, 0.0)
    )
    assert len(sparse) < len(dense) / 4
