"""Tensors, shapes and attributes of the ResNets."""

import pytest
import torch
from torch import nn

from dstbench.config.registry import names
from dstbench.core.masks import Masks
from dstbench.core.prunable import left_out, prunable
from dstbench.errors import UserError
from dstbench.metrics.cost import cost
from dstbench.models.resnet import ImageNetResNet50, ResNet20, ResNet34, ResNet50, SmallResNet34

ALL = [ResNet20, ResNet34, ResNet50, SmallResNet34, ImageNetResNet50]


def without_values(net, *args, **kwargs) -> nn.Module:
    with torch.device("meta"):
        return net(*args, **kwargs)


@pytest.mark.parametrize(
    "net, classes, tensors, weights, relus, million_macs",
    [
        (ResNet34, 10, 37, 21_265_088, 33, "1159.40"),
        (ResNet34, 100, 37, 21_311_168, 33, "1159.45"),
        (ResNet50, 10, 54, 23_467_712, 49, "1297.83"),
        (ResNet50, 100, 54, 23_652_032, 49, "1298.01"),
        (ResNet20, 10, 22, 270_896, 19, "40.81"),
        (SmallResNet34, 10, 37, 333_016, 33, "4.58"),
    ],
)
def test_resnet_counts_match_papers(net, classes, tensors, weights, relus, million_macs):
    model = without_values(net, classes)
    found = prunable(model)
    assert len(found) == tensors
    assert sum(p.numel() for p in found.values()) == weights
    assert sum(isinstance(m, nn.ReLU) for m in model.modules()) == relus
    counted = cost(model, Masks(model), (3, 32, 32))
    assert f"{counted['dense_macs'] / 1e6:.2f}" == million_macs


@pytest.mark.parametrize("net", [ResNet20, ResNet34, ResNet50])
def test_resnet_leaves_out_only_normalisation(net):
    model = without_values(net, 10)
    normalisation = {
        f"{path}.{name}"
        for path, module in model.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for name in ("weight", "bias")
    }
    assert left_out(model).keys() == normalisation


@pytest.mark.parametrize("net", ALL)
def test_resnet_calls_every_relu_once(net):
    model = net(4, width=2).eval()
    calls = {m: 0 for m in model.modules() if isinstance(m, nn.ReLU)}

    def count(module, *_):
        calls[module] += 1

    for module in calls:
        module.register_forward_hook(count)
    model(torch.randn(1, 3, 32, 32))
    assert set(calls.values()) == {1}


@pytest.mark.parametrize("net, projections", [(ResNet20, 2), (ResNet34, 3), (ResNet50, 4)])
def test_resnet_shortcut_projects_only_if_shape_changes(net, projections):
    shortcuts = [block.shortcut for stage in net(10, width=2).stages for block in stage]
    projecting = [s for s in shortcuts if not isinstance(s, nn.Identity)]
    assert len(projecting) == projections
    assert all(s[0].kernel_size == (1, 1) and s[0].bias is None for s in projecting)


@pytest.mark.parametrize(
    "net, sides", [(ResNet34, [32, 16, 8, 4]), (ResNet20, [32, 16, 8]), (ResNet50, [32, 16, 8, 4])]
)
def test_resnet_stages_halve_image_and_double_channels(net, sides):
    model = net(10, width=4).eval()
    x = model.stem(torch.randn(2, 3, 32, 32))
    assert x.shape == (2, 4, 32, 32)
    for i, (stage, side) in enumerate(zip(model.stages, sides, strict=True)):
        x = stage(x)
        assert x.shape == (2, stage[0].expansion * 4 * 2**i, side, side)


@pytest.mark.parametrize("net", ALL)
@pytest.mark.parametrize("channels, side", [(1, 8), (3, 32)])
def test_resnet_runs_on_small_images_at_width_one(net, channels, side):
    logits = net(7, in_channels=channels, width=1).eval()(torch.randn(2, channels, side, side))
    assert logits.shape == (2, 7)


@pytest.mark.parametrize("net", ALL)
@pytest.mark.parametrize("width", [0, -3, 1.5])
def test_resnet_refuses_invalid_width(net, width):
    with pytest.raises(UserError, match="at least 1") as refused:
        net(10, width=width)
    assert refused.value.binding == f"{net.__name__}.width"


def test_resnet_runs_replaced_modules():
    model = ResNet34(10, width=2).eval()
    stage = model.stages[2]
    for block in stage[2:]:
        block.conv1, block.conv2 = stage[1].conv1, stage[1].conv2
    assert len(prunable(model)) == 37 - 8
    stage[1].conv1.weight.data.fill_(float("nan"))
    ran = []
    for block in stage:
        block.act1 = nn.ReLU()
        block.act1.register_forward_hook(lambda m, args, out: ran.append(bool(out.isnan().any())))
    model(torch.randn(1, 3, 32, 32))
    assert ran == [False, True, True, True, True, True]


def test_resnet_convolutions_have_pytorch_initialisation():
    for module in ResNet20(10).modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 1000:
            bound = module.weight[0].numel() ** -0.5  # uniform in ±1/√fan_in
            assert 0.9 * bound < module.weight.abs().max() <= bound


def test_imagenet_resnet50_computes_torchvision_resnet50():
    from torchvision.models import resnet50

    theirs, ours = resnet50(num_classes=5).eval(), ImageNetResNet50(5).eval()
    pairs = list(zip(theirs.state_dict().values(), ours.state_dict().values(), strict=True))
    for their_value, our_value in pairs:
        if their_value.dim() == 4:  # another seed, the same distribution
            assert float(our_value.std()) == pytest.approx(float(their_value.std()), rel=0.1)
        if their_value.is_floating_point() and their_value.dim() == 1:
            their_value.uniform_(0.5, 1.5)
        our_value.copy_(their_value)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))


def test_models_are_registered():
    assert {net.__name__ for net in ALL} <= set(names("models"))
