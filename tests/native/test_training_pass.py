"""Networks that train otherwise than they are evaluated are refused; all others are taken."""

import random

import numpy as np
import pytest
import torch
from helpers.tiny_runs import started, tiny_resnet
from torch import nn

from dstbench.core.budgets import ERK
from dstbench.core.masks import Masks
from dstbench.graph.unsupported import Unsupported
from dstbench.methods.dyrelu import DyReLUPhasing
from dstbench.methods.weight_sharing import WeightSharing
from dstbench.native.network import NativeNetwork
from dstbench.native.training_pass import refuse_other_training

IMAGE = (3, 8, 8)


class Network(nn.Module):
    """Two convolutions and a classifier, with something between them."""

    def __init__(self, between):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.classifier = nn.BatchNorm2d(4), nn.Linear(4, 10)
        self.dropout, self.between = nn.Dropout(0.5), between

    def forward(self, x):
        y = self.between(self, self.norm(self.one(x)).relu())
        return self.classifier(nn.functional.adaptive_avg_pool2d(y, 1).flatten(1))


def held_back(network, y):
    with torch.no_grad():
        z = network.two(y)
    return y + z


def hooked(network, y):
    if y.requires_grad:
        y.register_hook(lambda gradient: gradient * 2)
    return y


def frozen(network, y):
    return nn.functional.batch_norm(y, network.norm.running_mean, network.norm.running_var)


def pooled(network, y):
    return nn.functional.avg_pool2d(y, 2 if network.training else 4)


def weighted(network, y):
    factor = 2.0 if network.training else 1.0
    return nn.functional.conv2d(y, network.two.weight * factor, padding=1)


OTHER = {
    "tensor hook": (hooked, "has hooks"),
    "frozen norm": (frozen, "has a batch norm that uses its averages in training"),
    "another window": (pooled, "computes something else in training"),
    "another factor": (weighted, "computes something else in training"),
    "dropout": (lambda n, y: n.dropout(y), "draws random numbers"),
    "numpy": (lambda n, y: y * float(np.random.rand() > 2), "draws random numbers"),
    "random": (lambda n, y: y * float(random.random() > 2), "draws random numbers"),
    "training": (lambda n, y: n.two(y) if n.training else y, "computes something else in training"),
    "detach": (lambda n, y: y + n.two(y.detach()), r"holds back gradients \(detach\)"),
    "data": (lambda n, y: y + n.two(y.data), r"holds back gradients \(detach\)"),
    "no_grad": (held_back, r"holds back gradients \(no_grad\)"),
}


@pytest.mark.parametrize("case", OTHER)
def test_another_training_pass_is_refused(case):
    between, message = OTHER[case]
    with pytest.raises(Unsupported, match=f"Network {message}"):
        refuse_other_training(Network(between), IMAGE)


def with_hook(network):
    network.two.register_forward_hook(lambda module, args, result: result * 3)


def with_backward_hook(network):
    network.two.register_full_backward_hook(lambda *_: None)


def with_parameter_hook(network):
    network.two.weight.register_hook(lambda gradient: gradient * 2)


def with_generator(network):
    network.rng = random.Random(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_hook, "has hooks"),
        (with_backward_hook, "has hooks"),
        (with_parameter_hook, "has hooks"),
        (with_generator, "random generator of its own"),
    ],
)
def test_what_a_copy_does_not_show_is_refused(change, message):
    network = Network(lambda network, y: network.two(y))
    change(network)
    with pytest.raises(Unsupported, match=message):
        refuse_other_training(network, IMAGE)


@pytest.mark.parametrize(
    "between",
    [lambda n, y: n.two(y), lambda n, y: nn.functional.dropout(y, 0.0, n.training) + n.two(y)],
)
def test_the_same_pass_is_taken_and_nothing_is_changed(between):
    network = Network(between)
    before = {name: t.clone() for name, t in network.state_dict().items()}
    state, was_training = torch.get_rng_state(), network.training
    refuse_other_training(network, IMAGE)
    assert all(torch.equal(t, before[name]) for name, t in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state) and network.training is was_training


def test_dynamic_activations_and_shared_weights_are_taken():
    _, state = started(tiny_resnet(), [WeightSharing(2), DyReLUPhasing(), ERK(0.5)])
    refuse_other_training(state.model, (3, 32, 32))


def test_the_engine_does_not_train_dropout():
    model = Network(OTHER["dropout"][0])
    with pytest.raises(Unsupported, match="draws random numbers"):
        NativeNetwork(model, Masks(model), IMAGE)
