"""Phased activations in native steps: frozen DyReLUs, and those that only torch computes."""

import itertools
from contextlib import suppress

import pytest
import torch
from helpers.tiny_runs import Enough, Noise, started, tiny_resnet

from dstbench.core.budgets import ERK
from dstbench.methods.activation_freeze import ActivationFreeze
from dstbench.methods.activations import ActivationPhasing, PReLU
from dstbench.methods.dyrelu import DyReLUPhasing
from dstbench.methods.phasing import Phased
from dstbench.models.precision import autocast_for
from dstbench.training.engines.native_engine import NativeEngine
from dstbench.training.engines.torch_engine import TorchEngine
from dstbench.training.loop import train

pytestmark = pytest.mark.slow
STEPS = 20


def trained(parts, each=lambda state: None):
    """Return the engine's steps and its notes, after a run that calls `each` after every step."""
    method, state = started(tiny_resnet(), [*parts, ERK(0.8)], STEPS)
    fallback = TorchEngine(state.model, autocast_for("fp32", torch.device("cpu")))
    notes = []
    engine = NativeEngine(state, fallback, note=notes.append)
    with suppress(Enough):
        train(state, method, engine, Noise(), lambda _: 0.05, lambda _: None, each)
    return engine.steps, notes


def test_native_steps_leave_frozen_dyrelus_as_they_are():
    history = []

    def each(state):
        phased = [m for m in state.model.modules() if isinstance(m, Phased)]
        history.append([p.detach().clone() for m in phased for p in m.parameters()])

    steps, _ = trained([DyReLUPhasing(0.25, 0.5), ActivationFreeze()], each)
    assert steps == {"native": STEPS, "torch": 0}
    moved = [any(not torch.equal(a, b) for a, b in zip(*pair, strict=True))
             for pair in itertools.pairwise(history)]  # fmt: skip
    assert moved == [True] * 5 + [False] * (STEPS - 6)


def test_other_activations_are_trained_by_torch_until_they_are_relu():
    steps, notes = trained([ActivationPhasing(PReLU(), 0.25, 0.5)])
    assert steps == {"native": 10, "torch": 10}
    assert any(note.startswith("Steps run through torch for now: PReLU at stem") for note in notes)
