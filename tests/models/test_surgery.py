"""Finding modules to replace, and making a convolution of the same kind."""

import pytest
import torch
from helpers.tiny_runs import tiny_resnet
from torch import nn

from dstbench.models.surgery import convolution_settings, places_of


def test_it_lists_every_place_with_its_parent():
    net = tiny_resnet(depths=(1, 2))
    places = places_of(net, nn.ReLU)
    assert [full for _, _, full in places] == [
        "stem.act1", "stages.0.0.act1", "stages.0.0.act2", "stages.1.0.act1", "stages.1.0.act2",
        "stages.1.1.act1", "stages.1.1.act2",
    ]  # fmt: skip
    modules = dict(net.named_modules())
    assert all(getattr(parent, name) is modules[full] for parent, name, full in places)


def test_several_kinds_are_found_and_subclasses_are_not():
    class Own(nn.Linear):
        pass

    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(1, 1), Own(1, 1))
    assert [full for _, _, full in places_of(net, nn.Conv2d, nn.Linear)] == ["0", "2"]


def test_a_module_in_two_parents_is_listed_at_both():
    act = nn.ReLU()
    net = nn.Sequential(nn.Sequential(act), nn.Sequential(act))
    assert [full for _, _, full in places_of(net, nn.ReLU)] == ["0.0", "1.0"]


def test_a_module_twice_in_one_parent_is_listed_at_both():
    act = nn.ReLU()
    net = nn.Sequential(nn.Conv2d(1, 1, 1), act, nn.Conv2d(1, 1, 1), act)
    assert [full for _, _, full in places_of(net, nn.ReLU)] == ["1", "3"]


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(3, 4, 3, bias=False),
        nn.Conv2d(4, 8, (3, 5), stride=(2, 1), padding=(1, 2), groups=2),
        nn.Conv2d(4, 4, 3, padding="same", dilation=2, padding_mode="circular"),
    ],
)
def test_a_convolution_made_from_the_settings_is_the_same_function(conv):
    twin = nn.Conv2d(**convolution_settings(conv))
    assert twin.weight.is_meta and twin.bias is None
    assert twin.weight.shape == conv.weight.shape
    twin.weight = conv.weight
    x = torch.randn(2, conv.in_channels, 9, 9)
    bias = 0 if conv.bias is None else conv.bias[:, None, None]
    torch.testing.assert_close(twin(x) + bias, conv(x))
