"""NormalLinear: which weights it draws, how wide, and that it repeats."""

import pytest
import torch
from helpers.tiny_runs import operated, tiny_resnet
from torch import nn

from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods.normal_linear import NormalLinear


def test_only_linear_layers_are_drawn():
    before = {n: p.clone() for n, p in tiny_resnet().named_parameters()}
    _, state = operated(tiny_resnet(), [NormalLinear()])
    changed = {n for n, p in state.model.named_parameters() if not torch.equal(p, before[n])}
    assert changed == {"classifier.weight"}


def test_weights_have_the_given_width_and_biases_are_zero():
    model = nn.Sequential(nn.Linear(300, 100))
    NormalLinear(0.05).surgery(State(model, (3, 10, 10), 0, 10))
    assert float(model[0].weight.detach().std()) == pytest.approx(0.05, rel=0.02)
    assert abs(float(model[0].weight.detach().mean())) < 0.001 and not model[0].bias.any()


def test_draws_repeat_and_differ_by_seed():
    one, same, other = (
        operated(tiny_resnet(), [NormalLinear()], seed=seed)[1].model.classifier.weight
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_std_out_of_range_is_refused():
    with pytest.raises(UserError) as error:
        NormalLinear(0.0)
    assert error.value.binding == "NormalLinear.std"
