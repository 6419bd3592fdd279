"""Weight sharing: one tensor for the later blocks of a stage, one scale for each use."""

import pytest
import torch
from helpers.tiny_runs import (
    IMAGE,
    go,
    logits,
    operated,
    resumed,
    started,
    through_a_file,
    tiny_resnet,
)
from torch import nn

from dstbench.config.registry import lookup
from dstbench.core.budgets import ERK
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods.rigl import RigL
from dstbench.methods.weight_sharing import SharedConv2d, WeightSharing
from dstbench.metrics.cost import cost
from dstbench.metrics.live_paths import find_live_paths
from dstbench.models.resnet import ResNet34, ResNet50


def shared(model):
    return {n: m for n, m in model.named_modules() if isinstance(m, SharedConv2d)}


def test_weight_sharing_is_registered():
    assert lookup("WeightSharing") is WeightSharing and not WeightSharing.moves_masks


@pytest.mark.parametrize(
    "block, convolutions",
    [("basic", ("conv1", "conv2")), ("bottleneck", ("conv1", "conv2", "conv3"))],
)  # fmt: skip
@pytest.mark.parametrize("owner", [2, 3, 4])
def test_blocks_after_the_owner_use_its_convolutions(block, convolutions, owner):
    net = tiny_resnet(block, (4, 2, 3))
    norms = {n: m for n, m in net.named_modules() if isinstance(m, nn.BatchNorm2d | nn.ReLU)}
    shortcuts = [b.shortcut for stage in net.stages for b in stage]
    operated(net, [WeightSharing(owner)])
    expected = set()
    for s, stage in enumerate(net.stages):
        for i, member in enumerate(stage):
            for name in convolutions:
                conv = getattr(member, name)
                if i < owner:
                    assert type(conv) is nn.Conv2d
                else:
                    expected.add(f"stages.{s}.{i}.{name}")
                    assert conv.weight is getattr(stage[owner - 1], name).weight
                    assert conv.scale.shape == () and conv.scale.requires_grad
    assert shared(net).keys() == expected
    modules = dict(net.named_modules())  # everything but the convolutions is the blocks' own
    assert all(modules[name] is module for name, module in norms.items())
    assert all(
        b.shortcut is old
        for b, old in zip((b for s in net.stages for b in s), shortcuts, strict=True)
    )


@pytest.mark.parametrize(
    "model, scales, left",
    [(ResNet34, 16, {2: 11_164_352}), (ResNet50, 24, {2: 13_928_128})],
)
def test_shared_resnets_have_the_papers_weights(model, scales, left):
    with torch.device("meta"):
        net = model(10)
    WeightSharing(2).surgery(State(net, (3, 32, 32), 0, 10))
    assert len(shared(net)) == scales
    stored = {id(m.weight): m.weight.numel() for m in net.modules() if hasattr(m, "stride")
              and isinstance(m, nn.Conv2d)}  # fmt: skip
    assert sum(stored.values()) + net.classifier.weight.numel() == left[2]


def test_only_owner_two_gives_the_papers_weights():
    """R = 3 gives 19.8 M stored weights on ResNet-50, not the 13.9 M of Table 2."""
    with torch.device("meta"):
        net = ResNet50(10)
    WeightSharing(3).surgery(State(net, (3, 32, 32), 0, 10))
    stored = {id(m.weight): m.weight.numel() for m in net.modules() if isinstance(m, nn.Conv2d)}
    assert round(sum(stored.values()) / 1e6, 1) == 19.8


@pytest.mark.parametrize("owner", [3, 4, 9])
def test_owner_at_the_end_of_the_stage_shares_nothing(owner):
    net, plain = tiny_resnet(depths=(2, 3)), tiny_resnet(depths=(2, 3))
    operated(net, [WeightSharing(owner)])
    assert not shared(net)
    assert torch.equal(logits(net), logits(plain))


def test_each_stage_may_have_an_owner_of_its_own():
    net = tiny_resnet(depths=(4, 4))
    operated(net, [WeightSharing([2, 3])])
    for stage, owner in zip(net.stages, (2, 3), strict=True):
        sharing = [block.conv1.weight is stage[owner - 1].conv1.weight for block in stage]
        assert sharing == [i >= owner - 1 for i in range(4)]


@pytest.mark.parametrize("owners", [[2], [2, 2, 2], [2, 1], []])
def test_owners_that_do_not_fit_the_stages_are_refused(owners):
    with pytest.raises(UserError, match=r"WeightSharing\.owner = "):
        operated(tiny_resnet(depths=(4, 4)), [WeightSharing(owners)])


def test_shared_conv_with_scale_one_is_the_copied_weight():
    net, twin = tiny_resnet(depths=(1, 4)), tiny_resnet(depths=(1, 4))
    operated(net, [WeightSharing(2)])
    for conv in shared(net).values():
        nn.init.ones_(conv.scale)
    with torch.no_grad():
        for follower in twin.stages[1][2:]:
            follower.conv1.weight.copy_(twin.stages[1][1].conv1.weight)
            follower.conv2.weight.copy_(twin.stages[1][1].conv2.weight)
    assert torch.equal(logits(net), logits(twin))


def test_shared_conv_is_its_scale_times_the_convolution():
    net = tiny_resnet(depths=(3,))
    operated(net, [WeightSharing(2)])
    conv = net.stages[0][2].conv1
    x = torch.randn(2, 4, 5, 5)
    expected = conv.scale * net.stages[0][1].conv1(x)
    torch.testing.assert_close(conv(x), expected)


def test_scales_are_drawn_between_zero_and_one_from_the_runs_seed():
    def drawn(seed):
        net = tiny_resnet(depths=(4, 4, 4))
        operated(net, [WeightSharing(2)], seed=seed)
        return torch.stack([conv.scale.detach() for conv in shared(net).values()])

    assert torch.equal(drawn(0), drawn(0)) and not torch.equal(drawn(0), drawn(1))
    assert 0 <= drawn(0).min() < 0.3 and 0.7 < drawn(0).max() < 1
    assert len(drawn(0).unique()) == 12


def test_scales_and_shared_tensor_are_trained_by_all_uses():
    method, state = started(tiny_resnet(depths=(4,)), [WeightSharing(2), ERK(0.7)])
    before = {n: c.scale.item() for n, c in shared(state.model).items()}
    go(method, state, until=3)
    assert all(c.scale.item() != before[n] for n, c in shared(state.model).items())
    owner = state.model.stages[0][1]
    assert all(c.weight is owner.conv1.weight for n, c in shared(state.model).items()
               if n.endswith("conv1"))  # fmt: skip


@pytest.mark.parametrize("owner", [1, 0, -1])
def test_weight_sharing_refuses_the_first_block_as_owner(owner):
    with pytest.raises(UserError, match=f"WeightSharing.owner = {owner}: must be at least 2"):
        WeightSharing(owner)


class Growing(nn.Module):
    """A block whose later ones are wider."""

    def __init__(self, inputs, outputs, **settings):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, **({"padding": 1, "bias": False} | settings))

    def forward(self, x):
        return self.conv(x).relu()


def staged(*blocks):
    last = blocks[-1].conv.out_channels
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, 3)]
    return nn.Sequential(nn.Sequential(*blocks), *head)


@pytest.mark.parametrize(
    "third",
    [
        Growing(4, 6),
        Growing(4, 4, groups=2),
        Growing(4, 4, stride=2),
        Growing(4, 4, dilation=2, padding=2),
        Growing(4, 4, padding=0),
        Growing(4, 4, padding_mode="circular"),
    ],
    ids=["width", "groups", "stride", "dilation", "padding", "padding mode"],
)
def test_weight_sharing_refuses_convolutions_of_another_kind(third):
    net = staged(Growing(3, 4), Growing(4, 4), third)
    with pytest.raises(UserError) as refused:
        operated(net, [WeightSharing(2)])
    assert "0.2.conv" in refused.value.message and "Choose another" in refused.value.message
    assert refused.value.binding == "WeightSharing.owner"


def test_weight_sharing_refuses_blocks_with_another_convolution():
    third = Growing(4, 4)
    third.extra = nn.Conv2d(4, 4, 1, bias=False)
    with pytest.raises(UserError, match=r"0\.2\.extra"):
        operated(staged(Growing(3, 4), Growing(4, 4), third), [WeightSharing(2)])


def test_shared_conv_keeps_its_own_bias():
    """Only the weights are shared."""
    net = staged(*(Growing(i, 4, bias=True) for i in (3, 4, 4)))
    bias = net[0][2].conv.bias
    operated(net, [WeightSharing(2)])
    assert any(p is bias for p in net.parameters())
    conv, owner = net[0][2].conv, net[0][1].conv
    nn.init.ones_(conv.scale)
    x = torch.randn(1, 4, 5, 5)
    expected = nn.functional.conv2d(x, owner.weight, bias, padding=1)
    torch.testing.assert_close(conv(x), expected)


def test_weight_sharing_refuses_models_without_stages(small_net):
    with pytest.raises(UserError, match="finds no stage in this model"):
        operated(small_net(), [WeightSharing(2)])


def test_cost_and_live_paths_count_every_use():
    net = tiny_resnet(depths=(4,))
    dense = cost(net, State(net, IMAGE, 0, 1).masks, IMAGE)
    _, state = started(net, [WeightSharing(2), ERK(0.6)])
    counted = cost(net, state.masks, IMAGE, state.dense_numel)
    assert counted["dense_macs"] == dense["dense_macs"]
    layers = {layer["name"]: layer for layer in counted["layers"]}
    assert (
        layers["stages.0.1.conv1.weight"]["uses"] == 3 == layers["stages.0.1.conv2.weight"]["uses"]
    )
    assert counted["stored_weights"] < counted["prunable_weights"] == dense["stored_weights"]
    paths = find_live_paths(net, state.masks, IMAGE)
    assert paths.reason is None and 0 < paths.fraction <= 1


def test_weight_sharing_resumes_exactly_with_one_tensor():
    parts = [WeightSharing(2), ERK(0.7), RigL(update_interval=2)]
    method, state = started(tiny_resnet(depths=(1, 4)), parts, 12)
    files = []
    go(method, state, each=lambda s: files.append(through_a_file(s)) if s.step == 5 else None)
    again, other = resumed(tiny_resnet(depths=(1, 4), seed=4), parts, files[0], 12)
    owner = other.model.stages[1][1]
    assert all(block.conv2.weight is owner.conv2.weight for block in other.model.stages[1][2:])
    go(again, other)
    for name, value in state.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name])


def test_weight_sharing_trains_under_bf16_autocast():
    method, state = started(tiny_resnet(depths=(3,)), [WeightSharing(2), ERK(0.5)])
    go(method, state, until=3, precision="bf16")
    assert all(p.isfinite().all() and p.dtype == torch.float32 for p in state.model.parameters())
