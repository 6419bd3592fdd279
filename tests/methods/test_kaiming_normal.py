"""KaimingNormal: the distribution of the weights, and what stays as the constructor made it."""

import math

import pytest
import torch
from torch import nn

from dstbench.core.method import Method
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods.dctps import DCTpS
from dstbench.methods.kaiming_normal import KaimingNormal
from dstbench.methods.synflow import SynFlow


class Net(nn.Module):
    """Every kind of layer that the part treats differently."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(16, 128, 3)
        self.grouped = nn.Conv2d(128, 256, 3, groups=4)
        self.norm = nn.BatchNorm2d(256)
        self.embedding = nn.Embedding(8, 4)
        self.fc = nn.Linear(256, 300)
        self.twice = nn.Linear(256, 300, bias=False)
        self.twice.weight = self.fc.weight
        nn.init.constant_(self.norm.weight, 0.3)
        nn.init.constant_(self.norm.bias, 0.4)

    def forward(self, x):
        return self.fc(self.norm(self.grouped(self.conv(x))).mean((2, 3)))


def drawn(seed=0, mode="fan_in", memory_format=torch.contiguous_format):
    torch.manual_seed(1)
    state = State(Net().to(memory_format=memory_format), (16, 8, 8), seed, 10)
    KaimingNormal(mode).surgery(state)
    return state.model


@pytest.mark.parametrize(
    "mode, fans",
    [
        ("fan_in", {"conv": 16 * 9, "grouped": 32 * 9, "fc": 256}),
        ("fan_out", {"conv": 128 * 9, "grouped": 256 * 9, "fc": 300}),
    ],
)
def test_kaiming_normal_has_variance_two_over_fan(mode, fans):
    model = drawn(mode=mode)
    for name, fan in fans.items():
        values = (model.get_submodule(name).weight.detach() * math.sqrt(fan / 2)).double()
        error = 5 / math.sqrt(values.numel())
        assert abs(float(values.mean())) < error
        assert abs(float(values.square().mean()) - 1) < math.sqrt(2) * error
        assert abs(float(values.pow(4).mean()) - 3) < 10 * error  # of a normal, not uniform: 1.8


def test_kaiming_normal_sets_biases_of_its_layers_to_zero_and_leaves_the_rest():
    torch.manual_seed(1)
    before, model = Net(), drawn()
    assert not any(m.bias.any() for m in (model.conv, model.grouped, model.fc))
    for name in ("norm.weight", "norm.bias", "embedding.weight"):
        assert torch.equal(model.get_parameter(name), before.get_parameter(name))
    assert model.twice.weight is model.fc.weight


def test_kaiming_normal_depends_on_the_seed_and_not_on_memory_layout():
    one, other = drawn(), drawn(memory_format=torch.channels_last)
    assert all(map(torch.equal, one.parameters(), other.parameters()))
    assert not torch.equal(one.conv.weight, drawn(seed=1).conv.weight)


def test_kaiming_normal_draws_nothing_without_values():
    with torch.device("meta"):
        state = State(Net(), (16, 8, 8), 0, 10)
    KaimingNormal().surgery(state)
    assert state.model.conv.weight.is_meta


def test_kaiming_normal_refuses_other_modes_and_dctps():
    with pytest.raises(UserError, match="fan_in"):
        KaimingNormal("fan_avg")
    with pytest.raises(UserError, match="cannot be combined"):
        Method("both", [DCTpS(), KaimingNormal(), SynFlow(0.9)])
