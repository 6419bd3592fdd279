"""DyReLU phasing: DyReLU first, plain ReLU at the end, a blend in between."""

import itertools

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

from dstbench.config.registry import lookup
from dstbench.core.budgets import ERK
from dstbench.core.masks import Masks
from dstbench.core.packing import load_network_
from dstbench.core.prunable import prunable
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods.dyrelu import DyReLU, DyReLUInSharing, DyReLUPhasing, _Dynamic
from dstbench.methods.rigl import RigL
from dstbench.methods.weight_sharing import WeightSharing
from dstbench.metrics.cost import cost
from dstbench.metrics.live_paths import find_live_paths
from dstbench.models.resnet import ResNet34, ResNet50
from dstbench.optim.settings import SGD, Adam, TorchOptimizer

OPTIMIZERS = [SGD(0.05, weight_decay=0.01), Adam(0.01, weight_decay=0.01),
              TorchOptimizer("AdamW", 0.01, {"weight_decay": 0.1})]  # fmt: skip


def activation(channels=6, reduction=4, blend="outputs", seed=0):
    """One whose weights are large enough for its coefficients to leave their start."""
    torch.manual_seed(seed)
    module = DyReLU(channels, reduction, blend)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(4)
    return module


def images(channels=6, seed=0, batch=3):
    return 2 * torch.randn(batch, channels, 5, 4, generator=torch.Generator().manual_seed(seed))


def dyrelus(model):
    return [m for m in model.modules() if isinstance(m, DyReLU)]


def reference(module, x):
    """Chen et al. 2020 in loops and float64: coefficients one by one."""
    w1, b1, w2, b2 = (
        p.detach().double().numpy()
        for p in (module.squeeze_weight, module.squeeze_bias, module.excite_weight,
                  module.excite_bias)
    )  # fmt: skip
    x = x.detach().double().numpy()
    batch, channels = x.shape[:2]
    y = np.empty_like(x)
    for image in range(batch):
        hidden = np.maximum(w1 @ x[image].mean(axis=(1, 2)) + b1, 0)
        theta = 2 / (1 + np.exp(-(w2 @ hidden + b2))) - 1  # 2σ − 1, (4C,)
        for c in range(channels):
            first = (1 + theta[c]) * x[image, c] + 0.5 * theta[2 * channels + c]
            second = theta[channels + c] * x[image, c] + 0.5 * theta[3 * channels + c]
            y[image, c] = np.maximum(first, second)
    return torch.from_numpy(y)


def test_dyrelu_phasing_is_registered():
    assert lookup("DyReLUPhasing") is DyReLUPhasing and not DyReLUPhasing.moves_masks


# --- the activation -------------------------------------------------------------------------------


@given(st.integers(1, 9), st.integers(1, 5), st.sampled_from(["outputs", "coefficients"]),
       st.integers(0, 99))  # fmt: skip
def test_dyrelu_at_beta_one_is_the_papers_formula(channels, reduction, blend, seed):
    module, x = activation(channels, reduction, blend, seed), images(channels, seed)
    assert module.squeeze_weight.shape == (max(1, channels // reduction), channels)
    assert module.excite_weight.shape == (4 * channels, max(1, channels // reduction))
    expected = reference(module, x)
    torch.testing.assert_close(module(x).double(), expected, rtol=1e-5, atol=1e-5)
    module.set_beta(1.0)
    torch.testing.assert_close(module(x).double(), expected, rtol=1e-5, atol=1e-5)


def test_dyrelu_at_initialisation_is_not_relu():
    torch.manual_seed(0)
    assert not torch.allclose(DyReLU(6, 4, "outputs")(images()), images().relu(), atol=1e-2)


@pytest.mark.parametrize("blend", ["outputs", "coefficients"])
def test_dyrelu_at_beta_zero_is_relu_without_gradient(blend):
    module = activation(blend=blend)
    module.set_beta(0.0)
    x = images()
    x[0, 0, 0] = torch.tensor([0.0, -0.0, torch.inf, -torch.inf])
    x = x.requires_grad_()
    y = module(x)
    assert torch.equal(y.view(torch.int32), x.relu().view(torch.int32))
    weights = images(seed=3)
    (y * weights).sum().backward()
    assert all(p.grad is None for p in module.parameters())
    plain = x.detach().clone().requires_grad_()
    (plain.relu() * weights).sum().backward()
    assert torch.equal(x.grad, plain.grad)


@given(st.floats(0.001, 0.999), st.integers(0, 99))
def test_dyrelu_blended_coefficients_stay_below_blended_outputs(beta, seed):
    """max is convex; they meet at both ends."""
    outputs, coefficients = (activation(blend=b, seed=seed) for b in ("outputs", "coefficients"))
    x = images(seed=seed)
    full = outputs(x)
    assert torch.equal(full, coefficients(x))
    for module in (outputs, coefficients):
        module.set_beta(beta)
    mixed = outputs(x)
    torch.testing.assert_close(mixed, beta * full + (1 - beta) * x.relu(), rtol=1e-4, atol=1e-5)
    assert (coefficients(x) <= mixed + 1e-5).all()
    for module in (outputs, coefficients):
        module.set_beta(0.0)
    assert torch.equal(outputs(x), coefficients(x))


def test_dyrelu_blended_coefficients_match_the_formula():
    module, x, beta = activation(blend="coefficients"), images(), 0.3
    a1, a2, b1, b2 = module.coefficients(x)
    module.set_beta(beta)
    relu = [1.0, 0.0, 0.0, 0.0]
    a1, a2, b1, b2 = (beta * c + (1 - beta) * r
                      for c, r in zip((a1, a2, b1, b2), relu, strict=True))  # fmt: skip
    torch.testing.assert_close(module(x), torch.maximum(a1 * x + b1, a2 * x + b2))


@given(
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 4),
    st.sampled_from([None, 0.3, 0.9]),
    st.booleans(),
    st.integers(0, 999),
)
def test_dyrelu_gradient_matches_autograd(batch, channels, size, beta, last, seed):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, channels, size, 3, generator=rng, dtype=torch.float64)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    given_ = [x, *torch.randn(4, batch, channels, 1, 1, generator=rng, dtype=torch.float64)]
    blend = None if beta is None else torch.tensor(beta, dtype=torch.float64)
    weights = torch.randn(x.shape, generator=rng, dtype=torch.float64)

    def formula(x, a1, a2, b1, b2):
        dynamic = torch.maximum(a1 * x + b1, a2 * x + b2)
        return dynamic if beta is None else beta * dynamic + (1 - beta) * x.relu()

    results = []
    for function in (lambda *inputs: _Dynamic.apply(*inputs, blend), formula):
        inputs = [t.clone().requires_grad_() for t in given_]
        y = function(*inputs)
        (y * weights).sum().backward()
        results.append([y, *(t.grad for t in inputs)])
    for own, expected in zip(*results, strict=True):
        torch.testing.assert_close(own, expected)


def test_dyrelu_at_beta_zero_is_inplace_like_the_replaced_relu():
    for inplace in (True, False):
        net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace), nn.AdaptiveAvgPool2d(1),
                            nn.Flatten(), nn.Linear(4, 3))  # fmt: skip
        method, state = operated(net, [DyReLUPhasing()])
        state.model[1].set_beta(0.0)
        x = torch.full((1, 4, 2, 2), -1.0)
        state.model[1](x)
        assert bool((x == 0).all()) == inplace
        method.finish(state)
        assert type(state.model[1]) is nn.ReLU and state.model[1].inplace == inplace


@pytest.mark.parametrize("blend", ["outputs", "coefficients"])
@pytest.mark.parametrize("beta", [1.0, 0.6, 0.0])
def test_dyrelu_runs_under_bf16_autocast(blend, beta):
    module = activation(blend=blend)
    module.set_beta(beta)
    x = images().bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = module(x)
    y.float().square().sum().backward()
    module.set_beta(beta)
    assert y.dtype == torch.bfloat16 and x.grad.isfinite().all()
    torch.testing.assert_close(y.float(), module(images()), rtol=0.05, atol=0.1)
    assert all((p.grad is None) == (beta == 0) for p in module.parameters())


# --- the phases -----------------------------------------------------------------------------------


@given(st.floats(0, 0.98), st.floats(0.001, 1), st.integers(1, 5000))
def test_beta_falls_from_one_to_zero_between_start_and_end(start, share, total):
    end = start + share * (0.99 - start)
    part = DyReLUPhasing(start, end)
    betas = [part.beta(step, total) for step in range(0, total + 1, max(1, total // 211))]
    steps = range(0, total + 1, max(1, total // 211))
    assert all(a >= b for a, b in itertools.pairwise(betas))
    for step, beta in zip(steps, betas, strict=True):
        assert 0 <= beta <= 1
        assert beta == 1 or step > start * total
        assert beta == 0 or step < end * total + 1
    assert part.beta(0, total) == 1
    assert part.beta(part.final_structure_step(total), total) == 0
    assert part.beta(part.final_structure_step(total) - 1, total) > 0


def test_beta_is_linear_in_between():
    part = DyReLUPhasing(0.2, 0.6)
    assert [part.beta(step, 10) for step in range(8)] == pytest.approx(
        [1, 1, 1, 0.75, 0.5, 0.25, 0, 0]
    )


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"start": -0.1}, "DyReLUPhasing.start"),
        ({"start": 1.0}, "DyReLUPhasing.start"),
        ({"start": 0.5, "end": 0.5}, r"DyReLUPhasing.end = 0.5: must be a progress after start"),
        ({"end": 1.0}, "DyReLUPhasing.end"),
        ({"reduction": 0}, "DyReLUPhasing.reduction"),
    ],
)
def test_dyrelu_phasing_refuses_settings_out_of_range(settings, message):
    with pytest.raises(UserError, match=message):
        DyReLUPhasing(**settings)


# --- in a network ---------------------------------------------------------------------------------


def test_dyrelu_surgery_replaces_every_relu_with_nothing_prunable():
    net = tiny_resnet("bottleneck", (2, 1))
    before = dict(prunable(net))
    relus = {n for n, m in net.named_modules() if isinstance(m, nn.ReLU)}
    _, state = operated(net, [DyReLUPhasing()])
    assert {n for n, m in net.named_modules() if isinstance(m, DyReLU)} == relus
    assert not any(isinstance(m, nn.ReLU) for m in net.modules())
    assert prunable(net).keys() == before.keys() == state.masks.parameters.keys()
    assert state.dense_numel == sum(p.numel() for p in before.values())
    counted = cost(net, state.masks, IMAGE)
    plain = tiny_resnet("bottleneck", (2, 1))
    assert counted["macs"] == cost(plain, Masks(plain), IMAGE)["macs"]
    assert find_live_paths(net, state.masks, IMAGE).fraction == 1
    for module in dyrelus(net):
        assert module.squeeze_weight.shape[1] == module.channels


@pytest.mark.parametrize("model, sites, millions", [(ResNet34, 33, 3.18), (ResNet50, 49, 28.4)])
def test_dyrelu_has_the_papers_training_only_parameters(model, sites, millions):
    with torch.device("meta"):
        net = model(10)
        DyReLUPhasing(reduction=4).surgery(State(net, (3, 32, 32), 0, 10))
    found = dyrelus(net)
    numel = sum(p.numel() for m in found for p in m.parameters())
    assert len(found) == sites and all(m.training_only for m in found)
    assert numel == sum(round(1.25 * m.channels**2 + 4.25 * m.channels) for m in found)
    assert numel / 1e6 == pytest.approx(millions, abs=0.05)


def test_dyrelu_surgery_replaces_a_shared_relu_at_both_modules():
    act = nn.ReLU()
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 1), act), nn.Sequential(nn.Conv2d(4, 4, 1), act),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip
    operated(net, [DyReLUPhasing()])
    assert not any(isinstance(m, nn.ReLU) for m in net.modules())


def test_dyrelu_surgery_refuses_relu_on_vectors():
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 3))
    with pytest.raises(UserError, match="the ReLU at 2 sees"):
        operated(net, [DyReLUPhasing()])


def test_dyrelu_surgery_keeps_weights_and_random_numbers():
    net = tiny_resnet()
    before = {n: t.clone() for n, t in net.state_dict().items()}
    operated(net, [DyReLUPhasing()])
    after = net.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_network_at_beta_zero_is_the_plain_network():
    plain, net = tiny_resnet(), tiny_resnet()
    method, state = operated(net, [DyReLUPhasing()])
    state.step = state.total_steps // 2
    method.before_step(state)
    assert torch.equal(logits(net), logits(plain))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["SGD", "Adam", "AdamW"])
@pytest.mark.parametrize("blend", ["outputs", "coefficients"])
def test_dyrelu_parameters_do_not_move_after_the_end(optimizer, blend):
    """Neither a gradient nor decay nor momentum that is left over."""
    parts = [DyReLUPhasing(0.25, 0.5, blend=blend), ERK(0.6), RigL(update_interval=3)]
    method, state = started(tiny_resnet(), parts, 20, optimizer=optimizer)
    history = {}

    def each(state):
        history[state.step] = [p.clone() for m in dyrelus(state.model) for p in m.parameters()]
        grads = [p.grad for m in dyrelus(state.model) for p in m.parameters()]
        assert all((g is None) == (state.step > 10) for g in grads)

    go(method, state, each=each)
    assert any(not torch.equal(a, b) for a, b in zip(history[9], history[10], strict=True))
    for step in range(11, 21):
        assert all(torch.equal(a, b) for a, b in zip(history[10], history[step], strict=True))


def test_step_after_the_end_is_that_of_the_plain_network():
    """The same weights from there on as a network that never had it."""
    parts = [DyReLUPhasing(0.25, 0.5), ERK(0.6)]
    method, state = started(tiny_resnet(), parts, 20)
    files = []
    go(method, state, each=lambda s: files.append(through_a_file(s)) if s.step == 10 else None)
    plain_method, plain = started(tiny_resnet(seed=3), [ERK(0.6)], 20, optimizer=SGD(0.05))
    saved = files[0]
    masks = {name: plain.masks[name] for name in plain.masks}
    load_network_(plain.model, plain.masks, saved["network"])
    assert masks.keys() == dict(plain.masks).keys()
    plain.optimizer = SGD(0.05).build(plain.model, plain.masks)
    plain.step = 10
    again, dynamic = resumed(tiny_resnet(), parts, saved, 20)
    dynamic.optimizer = SGD(0.05).build(dynamic.model, dynamic.masks)  # both without momentum
    go(plain_method, plain)
    go(again, dynamic)
    theirs = dynamic.model.state_dict()
    for name, value in plain.model.state_dict().items():
        assert torch.equal(value, theirs[name]), name


def test_dyrelu_finish_leaves_plain_relu_and_the_same_function():
    method, state = started(tiny_resnet(), [DyReLUPhasing(), ERK(0.6)], 12)
    go(method, state)
    before = logits(state.model)
    method.finish(state)
    assert not dyrelus(state.model)
    assert torch.equal(logits(state.model), before)
    plain = tiny_resnet()
    assert state.model.state_dict().keys() == plain.state_dict().keys()
    plain.load_state_dict(state.model.state_dict())
    assert torch.equal(logits(plain), before)


@pytest.mark.parametrize("at", [2, 7, 9, 12, 19])
def test_dyrelu_resumes_exactly_in_any_phase(at):
    parts = [DyReLUPhasing(0.25, 0.55), ERK(0.6), RigL(update_interval=2)]
    method, state = started(tiny_resnet(), parts, 20)
    files = []
    go(method, state, each=lambda s: files.append(through_a_file(s)) if s.step == at else None)
    assert not any("beta" in name for name in files[0]["network"]["rest"])
    again, other = resumed(tiny_resnet(seed=7), parts, files[0], 20)
    go(again, other)
    for name, value in state.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name]), name
    assert torch.equal(logits(state.model), logits(other.model))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_dyrelu_trains_in_both_precisions(precision):
    method, state = started(tiny_resnet("bottleneck"), [DyReLUPhasing(0.2, 0.6), ERK(0.5)], 8)
    before = [p.clone() for m in dyrelus(state.model) for p in m.parameters()]
    go(method, state, precision=precision)
    after = [p for m in dyrelus(state.model) for p in m.parameters()]
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(p.isfinite().all() for p in state.model.parameters())


# --- in the stem and sharing blocks only ----------------------------------------------------------


@pytest.mark.parametrize("block, names", [("basic", "12"), ("bottleneck", "123")])
def test_dyrelu_in_sharing_replaces_stem_and_sharing_blocks_only(block, names):
    model = tiny_resnet(block, depths=(2, 4))
    parts = [WeightSharing(2), DyReLUInSharing(), ERK(0.5)]
    _, state = operated(model, parts)
    found = {n for n, m in state.model.named_modules() if isinstance(m, DyReLU)}
    assert found == {"stem.act1", *(f"stages.1.{i}.act{n}" for i in (2, 3) for n in names)}
    kept = [n for n, m in state.model.named_modules() if type(m) is nn.ReLU]
    assert len(kept) == 4 * len(names)


def test_dyrelu_in_sharing_ends_as_relu_everywhere():
    model = tiny_resnet(depths=(1, 3))
    method, state = started(model, [WeightSharing(2), DyReLUInSharing(0.2, 0.4), ERK(0.5)])
    go(method, state)
    assert not any(p.grad is not None and p.grad.any() for m in dyrelus(state.model)
                   for p in m.parameters())  # fmt: skip
    before = logits(state.model)
    method.finish(state)
    assert not dyrelus(state.model) and torch.equal(logits(state.model), before)


@pytest.mark.parametrize("parts", [[DyReLUInSharing()], [DyReLUInSharing(), WeightSharing(2)]])
def test_dyrelu_in_sharing_needs_weight_sharing_before_it(parts):
    with pytest.raises(UserError, match="WeightSharing before"):
        operated(tiny_resnet(depths=(1, 3)), [*parts, ERK(0.5)])


def test_dyrelu_in_sharing_gives_gradients_where_zero_weights_are_in_series():
    """With weight sharing alone no layer of such a bottleneck network has a gradient."""
    fractions = []
    for parts in ([WeightSharing(2)], [WeightSharing(2), DyReLUInSharing()]):
        model = tiny_resnet("bottleneck", depths=(3, 4), width=8)
        _, state = started(model, [*parts, ERK(0.5)])
        with torch.no_grad():  # three live weights are zero in every block
            for name, weight in state.masks.parameters.items():
                if "stages" in name and "shortcut" not in name:
                    weight.zero_()
        state.model.train()
        x = torch.randn(8, *IMAGE, generator=torch.Generator().manual_seed(0))
        state.model(x).square().sum().backward()
        with_gradient = [w.grad is not None and bool(w.grad.any())
                         for n, w in state.masks.parameters.items() if "stages" in n]  # fmt: skip
        fractions.append(sum(with_gradient))
    assert fractions[0] < fractions[1]
