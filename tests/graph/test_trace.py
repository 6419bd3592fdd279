"""Tracing: the steps of a network, and layers that are refused by name."""

import pytest
import torch
from helpers.deploy_networks import compare
from helpers.tiny_runs import IMAGE, started, tiny_resnet
from torch import nn

from dstbench.core.budgets import ERK
from dstbench.deployment.compiler.compile import compile_network
from dstbench.errors import UserError
from dstbench.graph.steps import Affine, Convolution, Dynamic, Flatten, Pool, Relu, Sum
from dstbench.graph.trace import trace
from dstbench.methods.dctps import DCTpS
from dstbench.methods.dyrelu import DyReLU, DyReLUPhasing


class Block(nn.Module):
    """A residual block whose second use of its weight is scaled."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.scale = nn.Parameter(torch.tensor(-2.0))

    def forward(self, x):
        y = torch.relu(self.norm(self.conv(x)))
        return x + self.conv._conv_forward(y, self.scale * self.conv.weight, None)


def test_trace_returns_one_step_an_action():
    model = nn.Sequential(Block(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)).eval()
    steps = trace(model, (3, 4, 5))
    kinds = [Convolution, Affine, Relu, Convolution, Sum, Pool, Flatten, Convolution]
    assert [type(step.action) for step in steps] == kinds
    assert [step.inputs for step in steps] == [(0,), (1,), (2,), (3,), (0, 4), (5,), (6,), (7,)]
    assert [step.shape for step in steps[3:]] == [
        (3, 4, 5),
        (3, 4, 5),
        (3, 1, 1),
        (3, 1, 1),
        (2, 1, 1),
    ]


def test_trace_follows_a_shared_weight_through_its_scale():
    steps = trace(nn.Sequential(Block(), nn.Flatten()).eval(), (3, 4, 5))
    first, second = steps[0].action, steps[3].action
    assert first.tensor == second.tensor == "0.conv.weight"
    assert (first.factor, second.factor) == (1.0, -2.0)
    assert (first.weight == second.weight).all() and second.bias is None


def test_trace_omits_functions_that_change_nothing():
    model = nn.Sequential(nn.Dropout(), nn.Identity(), nn.Flatten(), nn.Linear(4, 2)).eval()
    assert [type(step.action) for step in trace(model, (1, 2, 2))] == [Flatten, Convolution]


def test_trace_refuses_a_network_without_logits():
    with pytest.raises(UserError, match="does not map images to logits"):
        trace(nn.Sequential(nn.Conv2d(3, 4, 1)).eval(), (3, 4, 4))


def test_dense_offset_is_refused():
    _, state = started(tiny_resnet(), [DCTpS(), ERK(0.5)])
    with pytest.raises(UserError, match=r"DCTConv2d at stem\.conv1 .*--dense"):
        compile_network(state.model, IMAGE)


def test_dynamic_activation_is_one_step_until_it_is_plain():
    activation = DyReLU(3, 2, "outputs")
    model = nn.Sequential(nn.Conv2d(3, 3, 1), activation, nn.Flatten()).eval()
    for beta in (1.0, 0.5):
        activation.set_beta(beta)
        (_, step, _) = trace(model, (3, 4, 5))
        assert step.action == Dynamic("1", "DyReLU at 1") and step.inputs == (1,)
    activation.set_beta(0.0)
    assert [type(step.action) for step in trace(model, (3, 4, 5))] == [Convolution, Relu, Flatten]


def test_dynamic_activation_is_refused_until_it_is_phased_out():
    method, state = started(tiny_resnet(), [DyReLUPhasing(), ERK(0.5)])
    with pytest.raises(UserError, match=r"DyReLU at .* not a plain ReLU yet"):
        compile_network(state.model, IMAGE)
    method.finish(state)
    assert compare(state.model.eval(), IMAGE)[0] <= 1e-4


class Joined(nn.Module):
    def __init__(self, join):
        super().__init__()
        self.join = join

    def forward(self, x):
        return self.join([x, x], 1).flatten(1)[:, :4, None, None]


class Added(nn.Module):
    def __init__(self, number):
        super().__init__()
        self.number = number

    def forward(self, x):
        return x + self.number


class Summed(nn.Module):
    def forward(self, x):
        return torch.add(x, x, out=None)


def test_adaptive_maximum_is_a_pool():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveMaxPool2d(3), nn.Flatten()).eval()
    action = trace(model, (3, 9, 9))[1].action
    assert isinstance(action, Pool) and action.maximum and action.window == (3, 3)


@pytest.mark.parametrize(
    "layer, message",
    [
        (nn.Sigmoid(), "Sigmoid at 1"),
        (nn.GroupNorm(1, 4), "GroupNorm at 1"),
        (nn.BatchNorm2d(4, track_running_stats=False), "running statistics"),
        (nn.AdaptiveAvgPool2d(5), "adaptive pooling of 9 pixels to 5"),
        (Joined(torch.cat), r"Joined at 1 cannot be compiled \(cat\)"),
        (Joined(torch.stack), r"Joined at 1 cannot be compiled \(stack\)"),
        (Added(torch.ones(4, 1, 1)), "something else than a value"),
        (Summed(), r"Summed at 1 cannot be compiled \(add with these arguments\)"),
    ],
)
def test_unsupported_layer_is_named(layer, message):
    model = nn.Sequential(nn.Conv2d(3, 4, 1), layer, nn.Flatten()).eval()
    with pytest.raises(UserError, match=message):
        trace(model, (3, 9, 9))
