"""The native engine: which steps it takes, when it compiles, and that runs equal those of torch."""

from contextlib import suppress

import pytest
import torch
from helpers.native_double import NativeDouble
from helpers.tiny_runs import IMAGE, Enough, Noise, started, tiny_resnet
from torch import nn

from dstbench.core.budgets import ERK
from dstbench.core.gradient_clip import GradientClip
from dstbench.core.part import Part
from dstbench.methods.acdc import ACDC
from dstbench.methods.cyclic import Cyclic
from dstbench.methods.dsr import DSR
from dstbench.methods.dyrelu import DyReLUPhasing
from dstbench.methods.global_magnitude import GlobalMagnitude
from dstbench.methods.gmp import GMP
from dstbench.methods.granet import GraNet
from dstbench.methods.imp import IMP
from dstbench.methods.mest import MEST
from dstbench.methods.rigl import RigL
from dstbench.methods.set import SET
from dstbench.methods.weight_sharing import WeightSharing
from dstbench.models.precision import autocast_for
from dstbench.optim.settings import SGD, Adam, TorchOptimizer
from dstbench.training.engines.native_engine import NativeEngine
from dstbench.training.engines.torch_engine import TorchEngine
from dstbench.training.loop import train

FP32 = autocast_for("fp32", torch.device("cpu"))
STEPS = 40


@pytest.fixture(autouse=True)
def double(monkeypatch):
    monkeypatch.setattr("dstbench.native.network.NativeNetwork", NativeDouble)


def native(state, notes=None):
    return NativeEngine(state, TorchEngine(state.model, FP32), note=(notes or []).append)


def run(method, state, engine, until=STEPS):
    def after_step(state):
        if state.step == until:
            raise Enough

    with suppress(Enough):
        train(state, method, engine, Noise(), lambda _: 0.05, lambda _: None, after_step)
    engine.push_back_()


METHODS = {
    "static": lambda: [ERK(0.8)],
    "SET": lambda: [ERK(0.8), SET(update_interval=7)],
    "RigL": lambda: [ERK(0.8), RigL(update_interval=7)],
    "clip": lambda: [ERK(0.8), RigL(update_interval=7), GradientClip(0.1, "live")],
    "shared": lambda: [WeightSharing(), ERK(0.8), RigL(update_interval=7)],
    "dyrelu": lambda: [DyReLUPhasing(0.1, 0.4), ERK(0.8), SET(update_interval=7)],
    "DSR": lambda: [ERK(0.8), DSR(0.2, update_interval=7)],
    "MEST": lambda: [ERK(0.8), MEST(0.3, update_interval=7)],
    "cyclic": lambda: [ERK(0.9), Cyclic(RigL(update_interval=7), 0.9, update_interval=4)],
    "gmp": lambda: [GMP(0.8, GlobalMagnitude(), update_interval=4)],
    "acdc": lambda: [ACDC(0.8, GlobalMagnitude(), compressed_phases=3)],
    "granet": lambda: [GraNet(0.8, GlobalMagnitude(), update_interval=4)],
    "imp": lambda: [IMP(0.8, GlobalMagnitude(), rounds=2, rewind=0.25)],
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("optimizer", [SGD(0.05), Adam(0.01)], ids=["SGD", "Adam"])
def test_native_run_equals_torch_run(name, optimizer):
    states = []
    for make in (native, lambda state: TorchEngine(state.model, FP32)):
        method, state = started(tiny_resnet(), METHODS[name](), STEPS, optimizer=optimizer)
        run(method, state, make(state))
        states.append(state)
    one, other = (state.model.state_dict() for state in states)
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert all(torch.equal(states[0].masks[n], states[1].masks[n]) for n in states[0].masks)


@pytest.mark.parametrize(
    "parts, dense",
    [
        ([], []),
        ([SET(update_interval=10)], []),
        ([RigL(update_interval=10)], [10, 20, 30]),
        ([RigL(update_interval=10), GradientClip(over="live")], [10, 20, 30]),
        ([GradientClip(over="dense")], [*range(1, STEPS + 1)]),
        ([Cyclic(RigL(update_interval=10), 0.8, until=0.5, update_interval=8)], [8, 16, 20, 30]),
    ],
)
def test_steps_with_dense_gradients_run_through_torch(parts, dense):
    method, state = started(tiny_resnet(), [ERK(0.8), *parts], STEPS)
    engine = native(state)
    run(method, state, engine)
    assert engine.steps == {"native": STEPS - len(dense), "torch": len(dense)}
    steps = range(1, STEPS + 1)
    assert [s for s in steps if method.requires_dense_gradients(s, STEPS)] == dense


class Undeclared(Part):
    def after_backward(self, state):
        pass


class UndeclaredRigL(RigL):
    def after_step(self, state):
        super().after_step(state)


class Declared(Undeclared):
    def needs_dense_gradients(self, step, total_steps):
        return step == 3


class ScoredSET(SET):
    def grow_score(self, state, name):
        return None


@pytest.mark.parametrize(
    "part, dense",
    [
        (Undeclared(), 40),
        (UndeclaredRigL(update_interval=10), 40),
        (Declared(), 1),
        (ScoredSET(update_interval=10), 3),
        (type("Clip", (GradientClip,), {"after_backward": lambda self, state: None})(), 40),
        (Cyclic(ScoredSET(update_interval=10), 0.8, until=0.5, update_interval=8), 4),
    ],
)
def test_part_that_declares_nothing_is_taken_to_read_dense_gradients(part, dense):
    steps = range(1, STEPS + 1)
    assert sum(part.requires_dense_gradients(step, STEPS) for step in steps) == dense


def test_optimizer_of_dense_gradients_needs_torch_steps():
    optimizer = TorchOptimizer("AdamW", 0.01)
    method, state = started(tiny_resnet(), [ERK(0.8)], STEPS, optimizer=optimizer)
    engine = native(state)
    run(method, state, engine, 5)
    assert state.optimizer.needs_dense_gradients and engine.steps == {"native": 0, "torch": 5}


def test_dyrelu_is_compiled_anew_when_its_phase_changes_not_when_beta_does():
    method, state = started(tiny_resnet(), [DyReLUPhasing(0.1, 0.25), ERK(0.8)], STEPS)
    engine = native(state)
    run(method, state, engine)
    assert engine.steps == {"native": STEPS, "torch": 0}
    assert engine._network.compiles == 3  # dynamic, blended, plain


def test_network_that_is_not_known_runs_through_torch_and_is_reported_once():
    method, state = started(tiny_resnet(), [ERK(0.8)], STEPS)
    state.model.relu = nn.LeakyReLU()
    state.model.relu.refused = True
    notes = []
    engine = NativeEngine(state, TorchEngine(state.model, FP32), note=notes.append)
    run(method, state, engine, 5)
    assert engine.steps == {"native": 0, "torch": 5}
    assert [note for note in notes if "torch" in note] == [
        "Steps run through torch for now: LeakyReLU is not supported."
    ]


def test_network_is_compiled_anew_only_after_changes():
    method, state = started(tiny_resnet(), [ERK(0.8), SET(update_interval=10)], STEPS)
    engine = native(state)
    run(method, state, engine)
    assert engine._network.compiles == 1 + 3


def test_changed_module_is_compiled_anew():
    _, state = started(tiny_resnet(), [ERK(0.8)], STEPS)
    engine = native(state)
    assert engine.compile_()
    state.model.relu = nn.LeakyReLU()
    state.model.relu.refused = True
    assert not engine.compile_() and "LeakyReLU" in engine.problem
    state.model.relu = nn.ReLU()
    assert engine.compile_() and engine.problem is None


def test_module_in_evaluation_mode_runs_through_torch():
    _, state = started(tiny_resnet(), [ERK(0.8)], STEPS)
    engine = native(state)
    state.model.train()
    state.model.stem.bn1.eval()
    engine.forward_backward(*Noise().at(0), dense=False)
    assert engine.steps == {"native": 0, "torch": 1}


def test_live_gradients_leave_the_run_unchanged():
    method, state = started(tiny_resnet(), [ERK(0.8)], STEPS)
    engine = native(state)
    run(method, state, engine, 3)
    before = {k: v.clone() for k, v in state.model.state_dict().items()}
    kept = dict(state.masks.live_gradients)
    found = engine.live_gradients(*Noise().at(99))
    assert {n: len(g) for n, g in found.items()} == {n: state.masks.live(n) for n in state.masks}
    after = state.model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(state.masks.live_gradients[name] is kept[name] for name in kept)


def test_logits_are_those_of_the_present_weights():
    method, state = started(tiny_resnet(), [ERK(0.8)], STEPS)
    engine = native(state)
    run(method, state, engine, 3)
    x = torch.randn(5, *IMAGE)
    assert torch.equal(engine.logits(x), TorchEngine(state.model, FP32).logits(x))


def test_a_network_is_compiled_once_it_is_sparse_enough():
    """Too dense is asked anew when masks move, and only then."""
    _, state = started(tiny_resnet(), [ERK(0.5)])
    asked = []

    def too_dense():
        asked.append(state.masks.total())
        return "it is too dense" if state.sparsity < 0.7 else None

    engine = NativeEngine(state, TorchEngine(state.model, FP32), too_dense=too_dense)
    assert not engine.compile_() and not engine.compile_()
    assert engine.problem == "it is too dense" and len(asked) == 1
    for name in state.masks:
        index = state.masks.index(name)
        state.set_live_(name, index[: max(1, len(index) // 3)])
    assert engine.compile_() and engine.compile_() and engine.problem is None
    assert len(asked) == 2
    for name, parameter in state.masks.parameters.items():
        state.set_live_(name, torch.arange(parameter.numel()))
    assert not engine.compile_() and engine.problem == "it is too dense"
