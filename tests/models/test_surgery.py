"""find_modules and convolution_settings."""

import pytest
import torch
from helpers.tiny_runs import tiny_resnet
from torch import nn

from dstbench.models.surgery import convolution_settings, find_modules


def test_find_modules_returns_parent_and_names():
    net = tiny_resnet(depths=(1, 2))
    found = find_modules(net, nn.ReLU)
    assert [full for _, _, full in found] == [
        "stem.act1", "stages.0.0.act1", "stages.0.0.act2", "stages.1.0.act1", "stages.1.0.act2",
        "stages.1.1.act1", "stages.1.1.act2",
    ]  # fmt: skip
    modules = dict(net.named_modules())
    assert all(getattr(parent, name) is modules[full] for parent, name, full in found)


def test_find_modules_matches_exact_types():
    class Custom(nn.Linear):
        pass

    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(1, 1), Custom(1, 1))
    assert [full for _, _, full in find_modules(net, nn.Conv2d, nn.Linear)] == ["0", "2"]


def test_find_modules_lists_module_of_two_parents_twice():
    act = nn.ReLU()
    net = nn.Sequential(nn.Sequential(act), nn.Sequential(act))
    assert [full for _, _, full in find_modules(net, nn.ReLU)] == ["0.0", "1.0"]


def test_find_modules_lists_module_with_two_names_twice():
    act = nn.ReLU()
    net = nn.Sequential(nn.Conv2d(1, 1, 1), act, nn.Conv2d(1, 1, 1), act)
    assert [full for _, _, full in find_modules(net, nn.ReLU)] == ["1", "3"]


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(3, 4, 3, bias=False),
        nn.Conv2d(4, 8, (3, 5), stride=(2, 1), padding=(1, 2), groups=2),
        nn.Conv2d(4, 4, 3, padding="same", dilation=2, padding_mode="circular"),
    ],
)
def test_convolution_settings_give_the_same_function(conv):
    twin = nn.Conv2d(**convolution_settings(conv))
    assert twin.weight.is_meta and twin.bias is None
    assert twin.weight.shape == conv.weight.shape
    twin.weight = conv.weight
    x = torch.randn(2, conv.in_channels, 9, 9)
    bias = 0 if conv.bias is None else conv.bias[:, None, None]
    torch.testing.assert_close(twin(x) + bias, conv(x))
