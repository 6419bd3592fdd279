"""SynFlow: scores compared with the paper's conservation laws, masks with a slow reference.

The reference multiplies weights and masks in the forward pass and sorts every score of every
layer, as the published code does, in float64.
"""

import copy
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dstbench.config.choices import Choices
from dstbench.config.shipped_files import shipped
from dstbench.core.masks import Masks, flat
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods import synflow
from dstbench.methods.kaiming_normal import KaimingNormal
from dstbench.methods.synflow import Flow, SynFlow, kept_per_round
from dstbench.models.resnet import ResNet20
from dstbench.sparsity import live_total
from dstbench.training.configure import assemble


def chain(widths, bias=False, seed=0):
    """A fully connected ReLU network, of which only the last layer may have a bias."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = [nn.Flatten()]
    for i, (inputs, outputs) in enumerate(pairwise(widths)):
        last = i == len(widths) - 2
        layers += [nn.Linear(inputs, outputs, bias=bias and last)]
        layers += [] if last else [nn.ReLU()]
    return nn.Sequential(*layers)


def weights_of(model):
    return [m.weight for m in model if isinstance(m, nn.Linear)]


def by_tensor(flow):
    """The scores of the survivors, tensor by tensor."""
    return flow.scores().split([len(at) for at in flow.survivors])


def flow_through(model):
    """R of a chain, by matrices: the sum of all paths' products, and the sum of the last bias."""
    with torch.no_grad():
        x = torch.ones(model[1].in_features, dtype=torch.float64)
        for weight in weights_of(model):
            x = weight.double().abs() @ x
        bias = model[-1].bias
        return float(x.sum()), 0.0 if bias is None else float(bias.double().abs().sum())


def masked(model, image_shape, sparsity, rounds=10, seed=0):
    state = State(model, image_shape, seed, 100)
    SynFlow(sparsity, rounds).init_masks(state)
    return state


def reference_masks(model, image_shape, sparsity, rounds):
    """Boolean masks by name, from full sorts of all scores."""
    model = copy.deepcopy(model).double().eval()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.abs_()
    names = list(Masks(model).parameters)
    weights = {n: model.get_parameter(n).detach() for n in names}
    keep = {n: torch.ones_like(w) for n, w in weights.items()}
    total = sum(w.numel() for w in weights.values())
    target = live_total(sparsity, total)
    for i in range(1, rounds + 1):
        used = {n: (weights[n] * keep[n]).requires_grad_() for n in names}
        x = torch.ones(1, *image_shape, dtype=torch.float64)
        output = torch.func.functional_call(model, used, (x,)).sum()
        gradients = torch.autograd.grad(output, list(used.values()))
        scores = torch.cat(
            [(u * g).abs().reshape(-1) for u, g in zip(used.values(), gradients, strict=True)]
        )
        left = total - int((1 - (1 - sparsity) ** (i / rounds)) * total)
        if i == rounds:
            left = target
        chosen = torch.zeros(total).index_fill_(0, scores.argsort(descending=True)[:left], 1.0)
        parts = chosen.split([w.numel() for w in weights.values()])
        keep = {n: p.view(weights[n].shape).double() for n, p in zip(names, parts, strict=True)}
    return {n: k.bool() for n, k in keep.items()}


# --- scores ---------------------------------------------------------------------------------------

widths = st.lists(st.integers(1, 6), min_size=3, max_size=6)


@given(widths, st.booleans(), st.integers(0, 99))
def test_flow_is_conserved_by_every_layer_of_a_chain(widths, bias, seed):
    """Weights sum to R in every layer; with a bias behind them, to R − Σ|b|."""
    model = chain(widths, bias, seed)
    flow = Flow(model, (1, 1, widths[0]))
    paths, constant = flow_through(model)
    total = float(flow.model(flow.ones).detach().sum())
    assert total == pytest.approx(paths + constant, rel=1e-12)
    for scores in by_tensor(flow):
        assert scores.dtype == torch.float64 and (scores >= 0).all()
        assert float(scores.sum()) == pytest.approx(total - constant, rel=1e-12)


@given(widths, st.integers(0, 99))
def test_flow_is_conserved_by_every_hidden_unit(widths, seed):
    model = chain(widths, seed=seed)
    scores = by_tensor(Flow(model, (1, 1, widths[0])))
    shaped = [s.view(w.shape) for s, w in zip(scores, weights_of(model), strict=True)]
    for before, after in pairwise(shaped):
        torch.testing.assert_close(before.sum(1), after.sum(0), rtol=1e-12, atol=0)


@given(widths, st.integers(0, 99), st.floats(0.05, 1))
def test_pruned_weights_score_zero_and_a_path_survives(widths, seed, share):
    """While a round prunes less score than a layer carries, some path is left."""
    model = chain(widths, seed=seed)
    flow = Flow(model, (1, 1, widths[0]))
    for _ in range(4):
        scores = flow.scores()
        carried = float(flow.model(flow.ones).detach().sum())
        order = scores.argsort()
        gone = order[: min(len(order) - 1, int((1 - share) * len(order)))]
        flow.prune_(gone)
        for weight, at in zip(flow.weights, flow.survivors, strict=True):
            pruned = torch.ones(weight.numel(), dtype=torch.bool).index_fill_(0, at, False)
            assert not flat(weight)[pruned].any()
        after = flow.scores()
        assert len(after) == len(order) - len(gone) and after.isfinite().all()
        if float(scores[gone].sum()) >= carried * (1 - 1e-9):
            break
        assert float(flow.model(flow.ones).detach().sum()) > 0


def test_scores_are_finite_where_float32_overflows():
    """Such as ResNet-34: R = 2.6e53."""
    model = chain([64] * 60)
    with torch.no_grad():
        for weight in weights_of(model):
            weight.mul_(8)
    x = torch.ones(1, 64)
    for weight in weights_of(model):
        x = x @ weight.detach().abs().t()
    assert x.isinf().all()
    state = masked(model, (1, 1, 64), 0.99, 20)
    assert state.masks.total() == live_total(0.99, 59 * 64 * 64)
    assert min(state.masks.counts().values()) >= 1


def test_shared_tensor_is_scored_once_with_all_its_uses():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
            self.two.weight = self.one.weight

        def forward(self, x):
            return self.two(torch.relu(self.one(x.flatten(1))))

    model = Tied()
    scores = by_tensor(Flow(model, (1, 1, 3)))
    assert len(scores) == 1
    w = model.one.weight.detach().double().abs()
    assert float(scores[0].sum()) == pytest.approx(2 * float((w @ w).sum()), rel=1e-12)


# --- masks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sparsity, rounds", [(0.5, 1), (0.9, 10), (0.97, 100)])
def test_synflow_masks_match_the_reference(small_net, sparsity, rounds):
    model = small_net()
    expected = reference_masks(model, (3, 8, 8), sparsity, rounds)
    state = masked(model, (3, 8, 8), sparsity, rounds)
    for name, mask in expected.items():
        assert torch.equal(state.masks[name], mask), name


@settings(max_examples=20)  # each prunes a network
@given(st.floats(0, 0.9), st.integers(8, 16))
def test_synflow_live_count_is_exact(small_net, sparsity, rounds):
    state = masked(small_net(), (3, 8, 8), sparsity, rounds)
    assert state.masks.total() == live_total(sparsity, state.dense_numel)
    assert sum(int(m.sum()) for m in state.masks.values()) == state.masks.total()


def test_synflow_live_count_is_exact_on_a_residual_network():
    state = masked(ResNet20(10, width=4), (3, 16, 16), 0.99, 30)
    assert state.masks.total() == live_total(0.99, state.dense_numel)


@given(st.integers(1, 10**7), st.decimals("0.000001", 1, places=6), st.integers(1, 100))
def test_kept_per_round_falls_exponentially_to_the_target(total, density, rounds):
    """N − ⌊(1 − ρ^(i/rounds)) · N⌋ with the density itself, not the rounded target over N."""
    target = max(1, round(Fraction(density) * total))
    kept = kept_per_round(Fraction(density), target, total, rounds)
    assert len(kept) == rounds and kept[-1] == target
    assert all(total >= a >= b for a, b in pairwise(kept))
    for i, count in enumerate(kept[:-1], 1):
        exact = total * float(density) ** (i / rounds)
        assert max(exact, target) - 1e-6 <= count <= max(exact + 1, target) + 1e-6


@pytest.mark.parametrize("sparsity", [0.99, 0.999, 0.9995, 0.9999])
@pytest.mark.parametrize("total", [271_117, 1_386_448, 21_265_088])
def test_kept_per_round_equals_the_published_formula(sparsity, total):
    published = [total - int((1 - (1 - sparsity) ** (i / 100)) * total) for i in range(1, 100)]
    density = 1 - Fraction(str(sparsity))
    assert kept_per_round(density, live_total(sparsity, total), total, 100)[:-1] == published


def test_kept_per_round_of_shared_tensors_uses_the_original_network(monkeypatch):
    """ρ = (1 − s) · dense weights / stored weights, exactly."""

    model = chain([30, 30, 30, 10])
    state = State(model, (1, 1, 30), 0, 100)
    model[3].weight = model[1].weight
    state.masks = Masks(model)
    given_densities = []
    kept_per_round_ = kept_per_round
    monkeypatch.setattr(
        synflow,
        "kept_per_round",
        lambda density, *rest: given_densities.append(density) or kept_per_round_(density, *rest),
    )
    SynFlow(0.9, 10).init_masks(state)
    assert given_densities == [Fraction(1, 10) * 2100 / 1200]


def test_synflow_masks_are_nested_with_the_counts_of_each_round(small_net, monkeypatch):
    rounds = []
    prune_ = Flow.prune_

    def spy(self, lost):
        prune_(self, lost)
        rounds.append({(i, p) for i, at in enumerate(self.survivors) for p in at.tolist()})

    monkeypatch.setattr(synflow.Flow, "prune_", spy)
    state = masked(small_net(), (3, 8, 8), 0.95, 15)
    target = live_total(0.95, state.dense_numel)
    density = 1 - Fraction("0.95")
    assert [len(r) for r in rounds] == kept_per_round(density, target, state.dense_numel, 15)
    assert all(late <= early for early, late in pairwise(rounds))
    assert rounds[-1] == {
        (i, p) for i, n in enumerate(state.masks) for p in state.masks.index(n).tolist()
    }


@pytest.mark.parametrize("training", [True, False])
def test_synflow_does_not_change_the_network(small_net, training):
    model = small_net()
    for i in range(2):  # batch norm has seen something, gradients are there
        model(torch.randn(4, 3, 8, 8) + i).sum().backward()
    model.train(training)
    before = copy.deepcopy(model.state_dict())
    gradients = [p.grad.clone() for p in model.parameters()]
    generator = torch.get_rng_state()
    state = masked(model, (3, 8, 8), 0.9)
    for name, value in model.state_dict().items():
        kept = state.masks[name] if name in state.masks else torch.ones_like(value, dtype=bool)
        assert value[kept].numpy().tobytes() == before[name][kept].numpy().tobytes(), name
        assert not value[~kept].any()
    assert all(map(torch.equal, (p.grad for p in model.parameters()), gradients))
    assert torch.equal(torch.get_rng_state(), generator)
    assert model.training == training and all(p.requires_grad for p in model.parameters())


@settings(max_examples=15)  # each prunes two networks
@given(st.integers(0, 99))
def test_synflow_ignores_signs(small_net, seed):
    plain, flipped = small_net(), small_net()
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in flipped.parameters():
            parameter.mul_((torch.rand(parameter.shape, generator=rng) - 0.5).sign())
    one, other = (masked(m, (3, 8, 8), 0.9) for m in (plain, flipped))
    assert all(torch.equal(one.masks[n], other.masks[n]) for n in one.masks)


def test_synflow_ignores_seed_and_memory_layout(small_net):
    plain = masked(small_net(), (3, 8, 8), 0.9, seed=0)
    torch.manual_seed(99)
    seeded = masked(small_net(), (3, 8, 8), 0.9, seed=1)
    contiguous = masked(small_net(memory_format=torch.contiguous_format), (3, 8, 8), 0.9)
    for name, mask in plain.masks.items():
        assert torch.equal(seeded.masks[name], mask)
        assert torch.equal(contiguous.masks[name], mask)


class Copying(nn.Linear):
    """The gradient of its weight is contiguous in every memory layout of the weight."""

    def forward(self, x):
        return nn.functional.linear(x, self.weight.contiguous())


def test_synflow_accepts_any_memory_layout():
    plain, turned = chain([6, 5, 4]), chain([6, 5, 4])
    for i in (1, 3):
        layer = Copying(turned[i].in_features, turned[i].out_features, bias=False)
        layer.weight = nn.Parameter(turned[i].weight.detach().t().contiguous().t())
        turned[i] = layer
    one, other = (masked(m, (1, 1, 6), 0.6) for m in (plain, turned))
    assert all(torch.equal(one.masks[n], other.masks[n]) for n in one.masks)


def test_synflow_scores_frozen_tensors(small_net):
    model = small_net()
    model[3].weight.requires_grad_(False)
    expected = masked(small_net(), (3, 8, 8), 0.9)
    state = masked(model, (3, 8, 8), 0.9)
    assert all(torch.equal(state.masks[n], m) for n, m in expected.masks.items())
    assert not model[3].weight.requires_grad


def test_synflow_accepts_boolean_buffers(small_net):
    model = small_net()
    model.register_buffer("window", torch.tensor([True, False]))
    expected = masked(small_net(), (3, 8, 8), 0.9)
    state = masked(model, (3, 8, 8), 0.9)
    assert all(torch.equal(state.masks[n], m) for n, m in expected.masks.items())


# --- refusals -------------------------------------------------------------------------------------


def zero_weights():
    model = chain([4, 4, 2])
    with torch.no_grad():
        for weight in weights_of(model):
            weight.zero_()
    return model, (1, 1, 4)


def infinite_weights():
    model = chain([4, 4, 2])
    with torch.no_grad():
        model[1].weight[0, 0] = torch.inf
    return model, (1, 1, 4)


def vision_transformer():
    torchvision = pytest.importorskip("torchvision")
    model = torchvision.models.VisionTransformer(8, 4, 2, 2, 8, 16, num_classes=4)
    return model, (3, 8, 8)  # its head begins at zero


@pytest.mark.parametrize("make", [zero_weights, infinite_weights, vision_transformer])
def test_synflow_refuses_scores_that_vanish_or_are_not_finite(make):
    model, shape = make()
    with pytest.raises(UserError, match="scores"):
        masked(model, shape, 0.5)


@pytest.mark.parametrize("last", [nn.LayerNorm(10), nn.Softmax(1)], ids=["LayerNorm", "Softmax"])
@pytest.mark.parametrize("bias", [False, True])
def test_synflow_refuses_scores_that_are_rounding_noise(last, bias):
    """The sum of these outputs is constant, so that no weight has any flow to be ranked by."""
    for seed in range(10):
        model = chain([4, 16, 10], bias, seed).append(copy.deepcopy(last))
        with pytest.raises(UserError, match="scores"):
            masked(model, (1, 2, 2), 0.5)


@pytest.mark.parametrize("sparsity", [1.0, -0.1, 99.9])
def test_synflow_refuses_sparsity_out_of_range(sparsity):
    with pytest.raises(UserError) as error:
        SynFlow(sparsity)
    assert error.value.binding == "SynFlow.sparsity"


def test_synflow_refuses_rounds_out_of_range():
    with pytest.raises(UserError) as error:
        SynFlow(0.5, 0)
    assert error.value.binding == "SynFlow.rounds"


def test_synflow_refuses_sparsity_that_keeps_nothing():
    with pytest.raises(UserError) as error:
        masked(chain([4, 4, 2]), (1, 1, 4), 0.99)
    assert error.value.binding == "SynFlow.sparsity"


def test_synflow_refuses_total_that_shared_tensors_cannot_hold():
    """A part's surgery shares tensors: fewer are stored than the original network had."""
    state = State(chain([4, 4, 2]), (1, 1, 4), 0, 100)
    state.dense_numel *= 2
    with pytest.raises(UserError) as error:
        SynFlow(0.1, 5).init_masks(state)
    assert error.value.binding == "SynFlow.sparsity"


@pytest.mark.parametrize("sparsity, rounds", [(0.97, 100), (0.97, 2)])
def test_synflow_accepts_a_network_that_pruning_cuts(sparsity, rounds):
    """Two weights carry no flow through five layers; the model is as good as any."""
    try:
        state = masked(chain([4] * 6), (1, 1, 4), sparsity, rounds)
    except UserError as error:
        assert error.binding == "SynFlow.sparsity"
    else:
        assert state.masks.total() == live_total(sparsity, 80)


# --- the method's files ---------------------------------------------------------------------------


def test_synflow_file_scores_kaiming_normal_weights():
    run, _ = assemble(Choices((str(shipped("methods")["synflow"]),), "digits"), "fp32")
    initial, pruning = run.method.parts
    assert isinstance(initial, KaimingNormal) and initial.mode == "fan_in"
    assert isinstance(pruning, SynFlow) and pruning.rounds == 100


@pytest.mark.parametrize("recipe", ["cifar10_synflow", "cifar100_synflow"])
def test_synflow_recipe_has_the_published_schedule(recipe):
    run, _ = assemble(Choices((str(shipped("methods")["synflow"]),), recipe), "fp32")
    rates = [run.rate_at(epoch / 160) for epoch in (0, 59, 60, 119, 120, 159)]
    assert run.epochs == 160 and run.batch_size == 128
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


# --- conservation ---------------------------------------------------------------------------------


def perceptron(activation, norm=nn.Identity):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(48, 16), norm(), activation, nn.Linear(16, 16), activation,
        nn.Linear(16, 4),
    )  # fmt: skip


class Recurrent(nn.Module):
    """Uses one convolution twice, the second time beside a shortcut."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.fc = nn.Linear(3, 4)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        return self.fc(torch.relu(x + self.conv(x)).mean((2, 3)))


@pytest.mark.parametrize(
    "model",
    [perceptron(nn.ReLU()), perceptron(nn.ReLU(), lambda: nn.BatchNorm1d(16)), Recurrent()],
    ids=["chain", "batch norm", "used twice"],
)
def test_synflow_accepts_networks_that_conserve_synaptic_flow(model):
    state = State(model, (3, 4, 4), seed=0, total_steps=1)
    SynFlow(0.9, rounds=5).init_masks(state)
    assert state.masks.total() == round(0.1 * state.dense_numel)


@pytest.mark.parametrize(
    "model, layer",
    [
        (perceptron(nn.GELU()), r"\d\.weight"),
        (perceptron(nn.Tanh()), r"\d\.weight"),
        (perceptron(nn.ReLU(), lambda: nn.LayerNorm(16)), r"1\.weight"),
    ],
    ids=["GELU", "tanh", "LayerNorm"],
)
def test_synflow_refuses_networks_that_do_not_conserve_synaptic_flow(model, layer):
    state = State(model, (3, 4, 4), seed=0, total_steps=1)
    with pytest.raises(UserError, match=f"scores of {layer} sum to .* not conserved"):
        SynFlow(0.9, rounds=5).init_masks(state)
    assert not state.masks
