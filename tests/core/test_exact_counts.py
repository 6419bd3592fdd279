"""Exact counts on random networks: a shared tensor is stored once and multiplied at each use.

Every count is made a second time here, from the modules, without the package's own counters.
"""

import copy
from fractions import Fraction

import pytest
import torch
from helpers.tiny_runs import BLOCKS, IMAGE, Noise, go, operated, resumed, started, through_a_file
from helpers.tiny_runs import tiny_resnet as resnet
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dstbench.core.budgets import EPL, ERK, Uniform
from dstbench.core.gradient_clip import GradientClip
from dstbench.core.masks import Masks
from dstbench.core.packing import load_network_, pack_network
from dstbench.core.state import State
from dstbench.methods.cyclic import Cyclic
from dstbench.methods.dctps import DCTpS
from dstbench.methods.dyrelu import DyReLUPhasing
from dstbench.methods.rigl import RigL
from dstbench.methods.set import SET
from dstbench.methods.weight_sharing import SharedConv2d, WeightSharing
from dstbench.metrics.cost import cost
from dstbench.models.resnet import ResNet34, ResNet50
from dstbench.optim.settings import SGD, Adam, TorchOptimizer
from dstbench.sparsity import live_total

pytestmark = pytest.mark.slow
STEPS = 20

networks = st.builds(
    dict,
    block=st.sampled_from(sorted(BLOCKS)),
    depths=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    width=st.integers(2, 6),
    seed=st.integers(0, 3),
)
owners = st.integers(2, 4)
optimizers = st.sampled_from([SGD(0.05), Adam(0.01), TorchOptimizer("AdamW", 0.01)])


# --- a second count, from the modules alone -------------------------------------------------------


def layers_of(model):
    return [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def original_numel(network):
    return sum(layer.weight.numel() for layer in layers_of(resnet(**network)))


def unique_weights(model):
    return list({id(layer.weight): layer.weight for layer in layers_of(model)}.values())


def asked_live(sparsity, numel):
    """round((1 − s) · N) in exact decimal arithmetic."""
    return round((1 - Fraction(str(sparsity))) * numel)


def live_masks(state):
    """id of a weight → its mask."""
    return {id(state.masks.parameters[name]): mask for name, mask in state.masks.items()}


def counted_live(state):
    masks = live_masks(state)
    return sum(int(masks[id(w)].sum()) for w in unique_weights(state.model))


def measured_positions(model):
    """Output positions of every layer's call, by hooks: [(weight, positions), …]."""
    found, handles = [], []
    for layer in layers_of(model):
        handles.append(
            layer.register_forward_hook(
                lambda m, _, out: found.append((m.weight, out[0].numel() // out.shape[1]))
            )
        )
    model.eval()
    with torch.no_grad():
        model(torch.zeros(1, *IMAGE))
    for handle in handles:
        handle.remove()
    return found


@st.composite
def methods(draw, cyclic=None):
    """(network, parts, sparsity, Cyclic or None): a method that the network can hold."""
    network = draw(networks)
    sharing = draw(st.sampled_from([None, "WeightSharing", "DCTpS"]))
    parts = []
    if sharing == "WeightSharing":
        parts.append(WeightSharing(draw(owners)))
    elif sharing == "DCTpS":
        parts.append(DCTpS())
    _, bare = operated(resnet(**network), parts)
    numel = original_numel(network)
    fewest = len(unique_weights(bare.model)) / numel
    most = sum(w.numel() for w in unique_weights(bare.model)) / numel

    def sparsity_of(density):
        return round(1 - density, 6)

    density = draw(st.floats(fewest, 0.6 * most)) * 0.999 + 2 / numel
    sparsity = sparsity_of(density)
    if draw(st.booleans()):
        parts.append(DyReLUPhasing(start=0.2, end=0.5))
    parts.append(draw(st.sampled_from([ERK, EPL, Uniform]))(sparsity))
    mover = draw(st.sampled_from([SET, RigL]))(
        drop_fraction=draw(st.sampled_from([0.05, 0.3, 1.0])),
        update_interval=draw(st.integers(1, 4)),
    )
    kind = draw(st.sampled_from(["static", "mover", "cyclic"])) if cyclic is None else "cyclic"
    cycle = None
    if kind == "cyclic":
        cycle = Cyclic(
            mover,
            sparsity,
            lowest=sparsity_of(
                draw(st.floats(density, 0.9 * most)) if density < 0.9 * most else density
            ),
            cycles=draw(st.integers(1, 3)),
            until=draw(st.sampled_from([0.5, 0.63, 0.75])),
            shape=draw(st.sampled_from(["cosine", "triangular"])),
            updates_per_cycle=draw(st.integers(2, 9)),
            update_interval=draw(st.sampled_from([None, 1, 2])),
        )
        parts.append(cycle)
    elif kind == "mover":
        parts.append(mover)
    if draw(st.booleans()):
        parts.append(GradientClip(1.0, draw(st.sampled_from(["dense", "live"]))))
    return network, parts, sparsity, cycle


# --- whole runs -----------------------------------------------------------------------------------


class Bookkeeper:
    """Called after every step of a run; counts everything and compares with what was asked."""

    def __init__(self, network, sparsity, cycle):
        self.numel = original_numel(network)
        self.constant, self.cycle = asked_live(sparsity, self.numel), cycle
        self.expected = self.constant
        self.before = None

    def start(self, state):
        assert state.dense_numel == self.numel
        self.look(state)

    def look(self, state):
        cycle, step = self.cycle, state.step
        if cycle is not None and step and cycle.is_due(step, STEPS):
            self.expected = asked_live(cycle.sparsity_at(step, STEPS), self.numel)
        if cycle is not None and step >= cycle.final_structure_step(STEPS):
            self.expected = self.constant
        live = counted_live(state)
        assert live == self.expected == state.masks.total()
        assert state.sparsity == 1 - live / self.numel  # over the original, whatever is shared
        self._dead_are_zero(state)
        self._uses_share(state)
        self._one_way(state)

    def _dead_are_zero(self, state):
        masks = live_masks(state)
        for weight in unique_weights(state.model):
            assert not weight.detach()[~masks[id(weight)]].any()
            assert masks[id(weight)].sum() >= 1

    def _uses_share(self, state):
        masks = live_masks(state)
        own = [m.weight for m in layers_of(state.model) if type(m) is not SharedConv2d]
        for layer in layers_of(state.model):
            assert id(layer.weight) in masks  # the use's mask is the owner's, the same tensor
            if type(layer) is SharedConv2d:
                assert any(layer.weight is weight for weight in own)

    def _one_way(self, state):
        """In a cycle a step only adds or only removes, in every layer the same."""
        now = {n: set(state.masks.index(n).tolist()) for n in state.masks}
        before, self.before = self.before, now
        if (
            before is None
            or self.cycle is None
            or state.step > self.cycle.final_structure_step(STEPS)
        ):
            return
        rise = sum(map(len, now.values())) - sum(map(len, before.values()))
        added = sum(len(now[n] - before[n]) for n in now)
        removed = sum(len(before[n] - now[n]) for n in now)
        assert (added, removed) == (max(rise, 0), max(-rise, 0))


@given(methods(), optimizers)
@settings(max_examples=16)
def test_live_count_is_exact_at_every_step_of_a_run(method, optimizer):
    network, parts, sparsity, cycle = method
    book = Bookkeeper(network, sparsity, cycle)
    method, state = started(resnet(**network), parts, STEPS, optimizer=optimizer)
    book.start(state)
    go(method, state, each=book.look)
    assert state.step == STEPS
    method.finish(state)
    book.look(state)


@given(methods(cyclic=True))
@settings(max_examples=10)
def test_cyclic_live_count_is_exact_and_monotone_in_each_phase(method):
    network, parts, sparsity, cycle = method
    book = Bookkeeper(network, sparsity, cycle)
    method, state = started(resnet(**network), parts, STEPS)
    book.start(state)
    go(method, state, each=book.look)


@given(methods(), optimizers, st.integers(1, STEPS - 1))
@settings(max_examples=8)
def test_resumed_run_shares_tensors_and_counts_as_before(method, optimizer, at):
    network, parts, sparsity, cycle = method
    book = Bookkeeper(network, sparsity, cycle)
    method, state = started(resnet(**network), parts, STEPS, optimizer=optimizer)
    saved = []

    def each(state):
        book.look(state)
        if state.step == at:
            saved.append((through_a_file(state), book.expected))

    go(method, state, each=each)
    file, book.expected = saved[0]
    book.before = None
    fresh = resnet(**(network | {"seed": 9}))  # other weights: everything must come from the file
    again, loaded = resumed(fresh, parts, file, STEPS, optimizer=optimizer)
    assert len(unique_weights(loaded.model)) == len(unique_weights(state.model))
    assert loaded.dense_numel == state.dense_numel
    book.look(loaded)
    go(again, loaded, each=book.look)
    for name, value in state.model.state_dict().items():
        assert torch.equal(value, loaded.model.state_dict()[name]), name
    for name, mask in state.masks.items():
        assert torch.equal(mask, loaded.masks[name])


# --- sharing --------------------------------------------------------------------------------------


@given(networks, owners)
def test_sparsity_denominator_ignores_weight_sharing(network, owner):
    _, state = operated(resnet(**network), [WeightSharing(owner)])
    assert state.dense_numel == original_numel(network)
    depths, convs = network["depths"], 3 if network["block"] == "bottleneck" else 2
    followers = sum(max(0, depth - owner) for depth in depths)
    scales = [p for name, p in state.model.named_parameters() if name.endswith(".scale")]
    assert len(scales) == convs * followers
    assert len(layers_of(state.model)) - len(unique_weights(state.model)) == convs * followers
    assert len(state.masks.parameters) == len(unique_weights(state.model))
    if owner >= max(depths):
        assert sum(w.numel() for w in unique_weights(state.model)) == state.dense_numel


@given(networks, owners, st.floats(0.05, 0.95))
@settings(max_examples=25)
def test_shared_tensor_costs_macs_at_each_use_and_storage_once(network, owner, share):
    _, state = operated(resnet(**network), [WeightSharing(owner)])
    fewest = len(state.masks.parameters)
    most = sum(w.numel() for w in unique_weights(state.model))
    sparsity = 1 - (fewest + share * (most - fewest)) / state.dense_numel
    ERK(sparsity).init_masks(state)
    masks, positions = live_masks(state), measured_positions(state.model)
    counted = cost(state.model, state.masks, IMAGE, state.dense_numel)
    assert counted["macs"] == sum(int(masks[id(w)].sum()) * p for w, p in positions)
    assert counted["dense_macs"] == sum(w.numel() * p for w, p in positions)
    assert counted["apparent_weights"] == sum(int(masks[id(w)].sum()) for w, _ in positions)
    assert counted["live_weights"] == counted_live(state)
    assert counted["stored_weights"] == most
    assert counted["prunable_weights"] == original_numel(network)
    assert not counted["unused"]
    packed = pack_network(state.model, state.masks)
    assert sum(len(rows) for rows, _ in packed["live"].values()) == counted_live(state)


@given(networks, owners, optimizers)
@settings(max_examples=20)
def test_optimizer_holds_a_shared_tensor_once(network, owner, optimizer):
    _, state = started(resnet(**network), [WeightSharing(owner), ERK(0.7)], optimizer=optimizer)
    held = state.optimizer
    if hasattr(held, "inner"):
        stepped = [id(p) for g in held.inner.param_groups for p in g["params"]]
    else:
        stepped = [id(p) for p in held.params]
        stepped += [id(p) for g in held.rest.param_groups for p in g["params"]]
    assert len(stepped) == len(set(stepped))
    assert set(stepped) == {id(p) for p in state.model.parameters()}
    if not hasattr(held, "inner"):
        assert len(held.vectors["value"]) == counted_live(state)


def unshared(model):
    """The same function with a tensor of its own at every use: scale · weight, written out."""
    twin = copy.deepcopy(model)
    for parent in list(twin.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SharedConv2d):
                plain = nn.Conv2d(
                    child.in_channels, child.out_channels, child.kernel_size, child.stride,
                    child.padding, bias=False,
                ).double()  # fmt: skip
                plain.weight.data = (child.weight * child.scale).detach().clone()
                setattr(parent, name, plain)
    return twin


@given(networks, owners, st.integers(0, 5))
@settings(max_examples=25)
def test_gradient_of_a_shared_tensor_is_the_sum_over_its_uses(network, owner, step):
    _, state = started(resnet(**network), [WeightSharing(owner), Uniform(0.7)])
    model = state.model.double()
    twin = unshared(model)
    x, y = Noise().at(step)
    losses = []
    for net in (model, twin):
        loss = nn.functional.cross_entropy(net(x.double()), y)
        loss.backward()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    copies = dict(twin.named_modules())
    expected = {}
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            scale = layer.scale.detach() if isinstance(layer, SharedConv2d) else 1.0
            use = copies[name].weight.grad
            expected[id(layer.weight)] = expected.get(id(layer.weight), 0) + scale * use
            if isinstance(layer, SharedConv2d):
                total = (layer.weight.detach() * use).sum()
                torch.testing.assert_close(layer.scale.grad, total, rtol=1e-8, atol=1e-10)
    for weight in unique_weights(model):
        torch.testing.assert_close(weight.grad, expected[id(weight)], rtol=1e-8, atol=1e-10)


@given(networks, owners)
@settings(max_examples=20)
def test_packed_shared_tensor_is_one_tensor_after_loading(network, owner):
    _, state = started(resnet(**network), [WeightSharing(owner), ERK(0.7)])
    packed = pack_network(state.model, state.masks)
    stored = sum(t.numel() for t in packed["rest"].values())
    left = {id(p): p.numel() for p in state.model.parameters()}
    for weight in unique_weights(state.model):
        left.pop(id(weight))
    buffers = sum(b.numel() for b in state.model.buffers())
    assert stored == sum(left.values()) + buffers
    _, other = operated(resnet(**(network | {"seed": 9})), [WeightSharing(owner)])
    load_network_(other.model, other.masks, packed)
    assert len(unique_weights(other.model)) == len(unique_weights(state.model))
    pairs = zip(layers_of(state.model), layers_of(other.model), strict=True)
    for mine, loaded in pairs:
        assert torch.equal(mine.weight, loaded.weight)
        assert torch.equal(live_masks(state)[id(mine.weight)], live_masks(other)[id(loaded.weight)])


# --- budgets --------------------------------------------------------------------------------------


@given(networks, owners, st.sampled_from([ERK, EPL, Uniform]), st.data())
def test_budget_counts_never_fall_when_the_total_rises(network, owner, budget, data):
    _, state = operated(resnet(**network), [WeightSharing(owner)])
    fewest = len(state.masks.parameters)
    most = sum(w.numel() for w in unique_weights(state.model))
    totals = data.draw(st.lists(st.integers(fewest, most), min_size=2, max_size=6).map(sorted))
    before = None
    for total in totals:
        # a margin of half a weight, because the sparsity is a rounded float
        counts = budget(0.5).live_counts(state, 1 - total / state.dense_numel)
        assert sum(counts.values()) == total
        for name, count in counts.items():
            assert 1 <= count <= state.masks.parameters[name].numel()
            assert before is None or count >= before[name]
        before = counts


@given(st.floats(0, 0.99999), st.integers(1, 10**8))
def test_live_total_is_rounded_density_times_original(sparsity, numel):
    assert live_total(sparsity, numel) == asked_live(repr(sparsity), numel)
    assert abs(live_total(sparsity, numel) - (1 - sparsity) * numel) <= 0.5 + 1e-6


# --- the networks of the paper --------------------------------------------------------------------


@pytest.mark.parametrize(
    "model, classes, numel, unique, scales, macs",
    [
        (ResNet34, 10, 21_265_088, 11_164_352, 16, 1159.40),
        (ResNet34, 100, 21_311_168, 11_210_432, 16, None),
        (ResNet50, 10, 23_467_712, 13_928_128, 24, 1297.83),
        (ResNet50, 100, 23_652_032, 14_112_448, 24, 1298.01),
    ],
)
def test_resnets_have_known_weights_and_macs(model, classes, numel, unique, scales, macs):
    with torch.device("meta"):
        net = model(classes)
    state = State(net, (3, 32, 32), 0, 100)
    WeightSharing(2).surgery(state)
    state.masks = Masks(net)
    assert state.dense_numel == numel
    assert sum(p.numel() for p in state.masks.parameters.values()) == unique
    assert sum(name.endswith(".scale") for name, _ in net.named_parameters()) == scales
    counted = cost(net, state.masks, (3, 32, 32), state.dense_numel)
    assert counted["stored_weights"] == unique and counted["prunable_weights"] == numel
    if macs is not None:
        assert round(counted["dense_macs"] / 1e6, 2) == macs
