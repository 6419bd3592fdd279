"""Narrow: the widest dense network of the family within the budget."""

import pytest
import torch
from torch import nn

from dstbench.core.masks import Masks
from dstbench.core.method import Method
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods.narrow import Narrow
from dstbench.metrics.cost import cost
from dstbench.models.resnet import ImageNetResNet50, ResNet20, ResNet34, ResNet50, SmallResNet34

IMAGE = (3, 16, 16)


def narrowed(model, sparsity, match="weights"):
    state = State(model, IMAGE, 0, 10)
    method = Method("narrow", [Narrow(sparsity, match)])
    method.surgery(state)
    state.masks = Masks(state.model)
    return method, state


@pytest.mark.parametrize("model", [ResNet20, ResNet34, ResNet50, SmallResNet34, ImageNetResNet50])
def test_narrow_is_the_widest_network_within_the_budget(model):
    with torch.device("meta"):
        original = model(num_classes=7, in_channels=3, width=8)
        method, state = narrowed(original, 0.6)
        wider = model(num_classes=7, in_channels=3, width=state.model.width + 1)
    assert type(state.model) is model and state.model.classifier.out_features == 7
    count = sum(p.numel() for p in Masks(wider).parameters.values())
    budget = 0.4 * state.dense_numel
    assert state.masks.total() <= budget < count
    (note,) = method.notes(state)
    assert f"width {state.model.width} has {state.masks.total():,} weights" in note
    assert f"{count:,}" in note


def test_narrow_matches_macs():
    _, state = narrowed(ResNet20(num_classes=4, width=8), 0.5, "macs")
    wider = ResNet20(num_classes=4, width=state.model.width + 1)
    original = ResNet20(num_classes=4, width=8)
    macs = [cost(m, Masks(m), IMAGE)["macs"] for m in (state.model, original, wider)]
    assert macs[0] <= 0.5 * macs[1] < macs[2]


def test_narrow_keeps_the_network_at_sparsity_zero():
    _, state = narrowed(ResNet20(num_classes=4, width=8), 0.0)
    assert state.model.width == 8 and state.sparsity == 0


def test_narrow_refuses_a_budget_below_width_one():
    with pytest.raises(UserError, match=r"width 1 has .* The highest sparsity"):
        narrowed(SmallResNet34(num_classes=10), 0.998)


def test_narrow_refuses_a_model_without_a_family():
    with pytest.raises(UserError, match="with_width"):
        narrowed(nn.Sequential(nn.Flatten(), nn.Linear(768, 4)), 0.5)
