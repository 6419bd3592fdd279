"""Phasing of PReLU, Swish, Mish, DyReLU-A and DyReLU-C: formulas, and plain ReLU at the end."""

import math

import numpy as np
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
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dstbench.config.registry import lookup, names
from dstbench.core.budgets import ERK
from dstbench.core.masks import Masks
from dstbench.core.prunable import prunable, unpruned
from dstbench.errors import UserError
from dstbench.graph.dynamic import DynamicActivation
from dstbench.graph.trace import trace
from dstbench.graph.unsupported import Unsupported
from dstbench.methods.activations import ActivationPhasing, Mish, PhasedActivation, PReLU, Swish
from dstbench.methods.dyrelu import DyReLU, DyReLUPhasing
from dstbench.methods.dyrelu_variants import DyReLUA, DyReLUC
from dstbench.methods.rigl import RigL
from dstbench.metrics.cost import cost, training_only_parameters
from dstbench.metrics.live_paths import find_live_paths
from dstbench.optim.settings import SGD, Adam, TorchOptimizer

KINDS = [PReLU, Swish, Mish, DyReLUA, DyReLUC]
EVERY = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def images(channels=6, seed=0, batch=3):
    return 2 * torch.randn(batch, channels, 5, 4, generator=torch.Generator().manual_seed(seed))


def phased(kind, channels=6, inplace=False):
    torch.manual_seed(0)
    return PhasedActivation(kind().module(channels), 0, inplace)


def found(model):
    return [m for m in model.modules() if isinstance(m, PhasedActivation)]


def test_activations_are_registered_in_a_group_of_their_own():
    assert lookup("ActivationPhasing") is ActivationPhasing
    assert {kind.__name__ for kind in KINDS} == set(names("activations"))


# --- formulas -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, x, y",
    [
        (PReLU, 2.0, 2.0), (PReLU, -2.0, -0.5), (PReLU, 0.0, 0.0),  # slope ¼
        (Swish, 0.0, 0.0), (Swish, 1.0, 1 / (1 + math.exp(-1))),
        (Swish, -2.0, -2 / (1 + math.exp(2))),
        (Mish, 0.0, 0.0), (Mish, 1.0, math.tanh(math.log(1 + math.e))),
        (Mish, -1.0, -math.tanh(math.log(1 + 1 / math.e))),
    ],
)  # fmt: skip
def test_static_activation_matches_truth_table(kind, x, y):
    found = phased(kind)(torch.full((1, 6, 1, 1), x)).flatten().tolist()
    assert found == pytest.approx([y] * 6, abs=1e-6)


def hyper(module, x):
    """Chen et al. 2020 in float64: 2σ − 1 of the two layers, for one image (C, H, W)."""
    w1, b1, w2, b2 = (
        p.detach().double().numpy()
        for p in (module.first, module.first_bias, module.second, module.second_bias)
    )
    hidden = np.maximum(w1 @ x.mean(axis=(1, 2)) + b1, 0)
    return 2 / (1 + np.exp(-(w2 @ hidden + b2))) - 1


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 99))
def test_dyrelu_a_has_the_same_coefficients_in_all_channels(channels, reduction, seed):
    torch.manual_seed(seed)
    module, x = DyReLUA(reduction).module(channels), images(channels, seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(4)
    assert module.second.shape == (4, max(1, channels // reduction))
    for image, y in zip(x.double().numpy(), module(x).detach().double().numpy(), strict=True):
        a1, a2, b1, b2 = hyper(module, image)
        expected = np.maximum((1 + a1) * image + b1 / 2, a2 * image + b2 / 2)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@given(st.integers(1, 9), st.floats(0.1, 20), st.floats(0.2, 5), st.integers(0, 99))
def test_dyrelu_c_is_dyrelu_b_times_an_attention_of_pixels(channels, tau, divisor, seed):
    torch.manual_seed(seed)
    module, x = DyReLUC(4, tau, divisor).module(channels), images(channels, seed)
    weight, bias = module.attention.detach().double().numpy(), module.attention_bias.item()
    for image, y in zip(x.double().numpy(), module(x).detach().double().numpy(), strict=True):
        z = np.tensordot(weight[0], image, 1) + bias
        share = np.exp(z / tau) / np.exp(z / tau).sum()
        pi = np.minimum(share * z.size / divisor, 1)
        a1, a2, b1, b2 = hyper(module, image).reshape(4, channels, 1, 1)
        expected = np.maximum(pi * (1 + a1) * image + pi * b1 / 2, pi * a2 * image + pi * b2 / 2)
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_dyrelu_c_at_equal_pixels_is_a_third_of_dyrelu_b():
    module = DyReLUC().module(6)
    x = images()[:, :, :1, :1].expand(-1, -1, 5, 4)
    own = DyReLU(6, 4, "outputs")
    with torch.no_grad():
        for name in ("squeeze_weight", "squeeze_bias", "excite_weight", "excite_bias"):
            part = name.replace("_weight", "").replace("squeeze", "first")
            getattr(own, name).copy_(getattr(module, part.replace("excite", "second")))
    torch.testing.assert_close(module(x), own(x) / 3)


@given(st.sampled_from(KINDS), st.floats(0.001, 0.999))
def test_blended_activation_is_between_it_and_relu(kind, beta):
    module, x = phased(kind), images()
    full = module(x)
    module.set_beta(beta)
    torch.testing.assert_close(module(x), beta * full + (1 - beta) * x.relu())


@EVERY
@pytest.mark.parametrize("beta", [1.0, 0.4, 0.0])
def test_activation_keeps_the_precision_of_its_input(kind, beta):
    module, x = phased(kind), images().bfloat16()
    module.set_beta(beta)
    with torch.autocast("cpu", torch.bfloat16):
        y = module(x)
    assert y.dtype == torch.bfloat16 and y.isfinite().all()


@EVERY
def test_activation_at_beta_zero_is_relu_without_gradient(kind):
    module, x = phased(kind), images().requires_grad_()
    module.set_beta(0.0)
    y = module(x)
    assert torch.equal(y.view(torch.int32), x.relu().view(torch.int32))
    y.sum().backward()
    assert all(p.grad is None for p in module.parameters())
    assert torch.equal(x.grad, (x > 0).float())


# --- in a network ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"start": 1.0}, "ActivationPhasing.start"),
        ({"start": 0.5, "end": 0.5}, "ActivationPhasing.end = 0.5: must be a progress after start"),
    ],
)
def test_activation_phasing_refuses_settings_out_of_range(settings, message):
    with pytest.raises(UserError, match=message):
        ActivationPhasing(PReLU(), **settings)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: DyReLUA(0), "DyReLUA.reduction"),
        (lambda: DyReLUC(0), "DyReLUC.reduction"),
        (lambda: DyReLUC(4, 0.0), "DyReLUC.temperature"),
        (lambda: DyReLUC(4, 1.0, -1.0), "DyReLUC.pixels_per_gamma"),
    ],
)
def test_dyrelu_variants_refuse_settings_out_of_range(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_two_parts_that_phase_activations_are_refused():
    with pytest.raises(UserError, match="ActivationPhasing: another part phases"):
        operated(tiny_resnet(), [DyReLUPhasing(), ActivationPhasing(PReLU())])


@EVERY
def test_activation_surgery_replaces_every_relu_with_nothing_prunable(kind):
    net = tiny_resnet("bottleneck", (2, 1))
    before = dict(prunable(net))
    relus = {n for n, m in net.named_modules() if isinstance(m, nn.ReLU)}
    _, state = operated(net, [ActivationPhasing(kind())])
    assert {n for n, m in net.named_modules() if isinstance(m, PhasedActivation)} == relus
    assert not any(isinstance(m, nn.ReLU) for m in net.modules())
    assert state.masks.parameters.keys() == before.keys() == prunable(net).keys()
    assert unpruned(net).fraction == 0
    plain = tiny_resnet("bottleneck", (2, 1))
    counted = cost(net, state.masks, IMAGE)
    assert counted["macs"] == cost(plain, Masks(plain), IMAGE)["macs"]
    assert find_live_paths(net, state.masks, IMAGE).fraction == 1
    own = sum(p.numel() for m in found(net) for p in m.parameters())
    assert training_only_parameters(net) == own


@pytest.mark.parametrize(
    "kind, parameters, macs",
    [
        (PReLU, 8, 8 * 16), (Swish, 0, 8 * 16), (Mish, 0, 8 * 16),
        (DyReLUA, 8 * 2 + 2 + 2 * 4 + 4, 8 * 2 + 2 * 4 + 2 * 8 * 16),
        (DyReLUC, 8 * 2 + 2 + 2 * 32 + 32 + 9, 8 * 2 + 2 * 32 + 4 * 8 * 16),
    ],
)  # fmt: skip
def test_activation_counts_its_macs_and_parameters_while_it_is_computed(kind, parameters, macs):
    """8 channels of 4 × 4 pixels; reduction 4."""
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                        nn.Linear(8, 3))  # fmt: skip
    method, state = operated(net, [ActivationPhasing(kind(), 0.25, 0.5)])
    assert sum(p.numel() for p in state.model[1].parameters()) == parameters
    assert method.extra_training_macs(state) == macs
    state.step = state.total_steps // 2
    method.before_step(state)
    assert method.extra_training_macs(state) == 0


@EVERY
@pytest.mark.parametrize(
    "optimizer",
    [SGD(0.05, weight_decay=0.01), Adam(0.01, weight_decay=0.01),
     TorchOptimizer("AdamW", 0.01, {"weight_decay": 0.1})],
    ids=["SGD", "Adam", "AdamW"],
)  # fmt: skip
def test_activation_ends_as_relu_and_its_parameters_do_not_move(kind, optimizer):
    parts = [ActivationPhasing(kind(), 0.25, 0.5), ERK(0.6), RigL(update_interval=3)]
    method, state = started(tiny_resnet(), parts, 20, optimizer=optimizer)
    history = {}

    def each(state):
        history[state.step] = [p.clone() for m in found(state.model) for p in m.parameters()]
        grads = [p.grad for m in found(state.model) for p in m.parameters()]
        assert all((g is None) == (state.step > 10) for g in grads)

    go(method, state, each=each)
    for step in range(11, 21):
        assert all(torch.equal(a, b) for a, b in zip(history[10], history[step], strict=True))
    moved = [not torch.equal(a, b) for a, b in zip(history[1], history[10], strict=True)]
    assert any(moved) or kind in (Swish, Mish)
    before = logits(state.model)
    method.finish(state)
    assert not found(state.model) and torch.equal(logits(state.model), before)
    assert state.model.state_dict().keys() == tiny_resnet().state_dict().keys()


@EVERY
@pytest.mark.parametrize("at", [2, 8, 15])
def test_activation_resumes_exactly_in_any_phase(kind, at):
    parts = [ActivationPhasing(kind(), 0.25, 0.55), ERK(0.6), RigL(update_interval=2)]
    method, state = started(tiny_resnet(), parts, 20)
    files = []
    go(method, state, each=lambda s: files.append(through_a_file(s)) if s.step == at else None)
    again, other = resumed(tiny_resnet(seed=7), parts, files[0], 20)
    go(again, other)
    for name, value in state.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name


@EVERY
def test_activation_is_compiled_once_it_is_plain(kind):
    """The native engine trains from there on."""
    method, state = operated(tiny_resnet(), [ActivationPhasing(kind())])
    assert not any(isinstance(m, DynamicActivation) for m in state.model.modules())
    with pytest.raises(Unsupported, match=r"at stem\.act1.* cannot be compiled"):
        trace(state.model, IMAGE)
    state.step = state.total_steps // 2
    method.before_step(state)
    assert trace(state.model, IMAGE)
