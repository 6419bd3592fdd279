"""ActivationFreeze: activations' parameters train until the phasing begins, and no longer."""

import pytest
import torch
from helpers.tiny_runs import go, operated, resumed, started, through_a_file, tiny_resnet

from dstbench.core.budgets import ERK
from dstbench.errors import UserError
from dstbench.methods.activation_freeze import ActivationFreeze
from dstbench.methods.activations import ActivationPhasing, PReLU, Swish
from dstbench.methods.dyrelu import DyReLU, DyReLUPhasing
from dstbench.methods.phasing import Phased
from dstbench.methods.rigl import RigL
from dstbench.optim.settings import SGD, Adam, TorchOptimizer

PHASINGS = [DyReLUPhasing(0.25, 0.5), ActivationPhasing(PReLU(), 0.25, 0.5)]


def parameters(state):
    return [p for m in state.model.modules() if isinstance(m, Phased) for p in m.parameters()]


@pytest.mark.parametrize(
    "parts",
    [
        [ActivationFreeze()],
        [ActivationFreeze(), DyReLUPhasing()],
        [ActivationPhasing(Swish()), ActivationFreeze()],
    ],
    ids=["alone", "before", "without parameters"],
)
def test_activation_freeze_needs_parameters_to_freeze(parts):
    with pytest.raises(UserError, match="ActivationFreeze finds no phased activation"):
        operated(tiny_resnet(), [*parts, ERK(0.5)])


@pytest.mark.parametrize(
    "optimizer",
    [SGD(0.05, weight_decay=0.01), Adam(0.01, weight_decay=0.01),
     TorchOptimizer("AdamW", 0.01, {"weight_decay": 0.1})],
    ids=["SGD", "Adam", "AdamW"],
)  # fmt: skip
@pytest.mark.parametrize("phasing", PHASINGS, ids=["DyReLU", "PReLU"])
def test_activation_parameters_move_until_the_start_only(phasing, optimizer):
    """β is 1 for the first six of 20 steps, T_s = 0.25."""
    parts = [phasing, ActivationFreeze(), ERK(0.6), RigL(update_interval=3)]
    method, state = started(tiny_resnet(), parts, 20, optimizer=optimizer)
    history = {}

    def each(state):
        history[state.step] = [p.detach().clone() for p in parameters(state)]
        assert all((p.grad is None) == (state.step > 6) for p in parameters(state))

    go(method, state, each=each)
    assert any(not torch.equal(a, b) for a, b in zip(history[5], history[6], strict=True))
    for step in range(7, 21):
        assert all(torch.equal(a, b) for a, b in zip(history[6], history[step], strict=True))


def test_frozen_activation_is_computed_as_before():
    """The weights of other layers have the gradients that they have without the freeze."""
    states = []
    for parts in (PHASINGS[:1], [PHASINGS[0], ActivationFreeze()]):
        method, state = started(tiny_resnet(), [*parts, ERK(0.6)], 20)
        go(method, state, until=7)
        states.append(state)
    plain, frozen = (
        {n: p.grad for n, p in s.model.named_parameters() if p.grad is not None} for s in states
    )
    assert frozen.keys() < plain.keys()
    assert all(torch.equal(frozen[name], plain[name]) for name in frozen)
    assert not any(isinstance(s.model.get_submodule(n.rpartition(".")[0]), DyReLU)
                   for s in states for n in frozen)  # fmt: skip


@pytest.mark.parametrize("at", [3, 5, 7, 15])
def test_frozen_run_resumes_exactly(at):
    parts = [DyReLUPhasing(0.25, 0.55), ActivationFreeze(), ERK(0.6), RigL(update_interval=2)]
    method, state = started(tiny_resnet(), parts, 20)
    files = []
    go(method, state, each=lambda s: files.append(through_a_file(s)) if s.step == at else None)
    again, other = resumed(tiny_resnet(seed=7), parts, files[0], 20)
    go(again, other)
    for name, value in state.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name
