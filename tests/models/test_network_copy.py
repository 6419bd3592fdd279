"""Copies of networks with other tensors, and restored random generators."""

import torch
from torch import nn

from dstbench.core.random_generators import preserve_rng
from dstbench.models.network_copy import copy_with


def test_copy_with_replaces_tensors_and_keeps_the_model():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    copied = copy_with(model, torch.zeros_like)
    assert all((tensor == 0).all() for tensor in copied.state_dict().values())
    assert not copied.training and model.training
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())


def test_copy_with_shares_what_the_model_shares():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    copied = copy_with(model, torch.clone)
    assert copied[0].weight is copied[1].weight and copied[0].weight is not model[0].weight


def test_copy_with_drops_hooks_of_the_copy_only():
    model, calls = nn.Linear(2, 2), []
    model.register_forward_hook(lambda *_: calls.append("hook"))
    copy_with(model, torch.clone)(torch.ones(1, 2))
    assert calls == []
    model(torch.ones(1, 2))
    assert calls == ["hook"]


def test_preserve_rng_restores_the_generator():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    with preserve_rng(torch.empty(0)):
        torch.rand(5)
    assert torch.equal(torch.rand(2), expected)
