"""Cyclic sparsity: its sparsity at every step, and the masks that follow it."""

import math
from fractions import Fraction

import pytest
from helpers.tiny_runs import go, resumed, started, through_a_file, tiny_resnet
from hypothesis import given
from hypothesis import strategies as st

from dstbench.config.registry import lookup
from dstbench.core.budgets import EPL, ERK
from dstbench.core.layer_densities import LayerDensities
from dstbench.core.masks import flat
from dstbench.core.method import Method
from dstbench.core.schedules import Cosine
from dstbench.errors import UserError
from dstbench.methods.cyclic import Cyclic
from dstbench.methods.dctps import DCTpS
from dstbench.methods.dsr import DSR
from dstbench.methods.mest import SoftMEST
from dstbench.methods.rigl import RigL
from dstbench.methods.set import SET
from dstbench.methods.snfs import SNFS
from dstbench.methods.synflow import SynFlow
from dstbench.methods.weight_sharing import WeightSharing


def cyclic(mover=None, sparsity=0.9, **settings):
    return Cyclic(mover or RigL(update_interval=1), sparsity, **settings)


def test_cyclic_is_registered():
    assert lookup("Cyclic") is Cyclic and Cyclic.moves_masks and Cyclic.needs_budget


# --- the schedule ---------------------------------------------------------------------------------

HALF = 0.5**0.5


@pytest.mark.parametrize(
    "shape, quarters",
    [
        # share of the way to the lowest sparsity at eighths of a cycle
        ("cosine", [0, (1 - HALF) / 2, 1 / 2, (1 + HALF) / 2, 1, (1 + HALF) / 2, 1 / 2,
                    (1 - HALF) / 2]),
        ("triangular", [0, 1 / 4, 1 / 2, 3 / 4, 1, 3 / 4, 1 / 2, 1 / 4]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("cycles", [1, 2, 3])
def test_cyclic_sparsity_matches_truth_table(shape, quarters, cycles):
    """Cycles end at step 48 · cycles of a run twice as long."""
    part = cyclic(sparsity=0.9, lowest=0.6, cycles=cycles, until=0.5, shape=shape)
    total = 96 * cycles
    for cycle in range(cycles):
        for eighth, share in enumerate(quarters):
            step = 48 * cycle + 6 * eighth
            assert part.sparsity_at(step, total) == pytest.approx(0.9 - 0.3 * share, abs=1e-12)
    for step in range(48 * cycles, total + 1):
        assert part.sparsity_at(step, total) == 0.9
    for cycle in range(cycles):
        assert part.sparsity_at(48 * cycle, total) == 0.9  # exactly


def test_cyclic_lowest_defaults_to_three_times_the_live_weights():
    assert cyclic(sparsity=0.99).lowest == pytest.approx(0.97)
    assert cyclic(sparsity=0.5).lowest == 0.0
    part = cyclic(sparsity=0.999, until=0.5, cycles=1)
    assert part.sparsity_at(25, 100) == pytest.approx(0.997)


@given(
    st.floats(0.01, 0.9999),
    st.floats(0, 1),
    st.integers(1, 5),
    st.floats(0.01, 0.99),
    st.sampled_from(["cosine", "triangular"]),
    st.integers(2, 3000),
)
def test_cyclic_sparsity_stays_within_its_bounds(sparsity, share, cycles, until, shape, total):
    part = cyclic(sparsity=sparsity, lowest=share * sparsity, cycles=cycles, until=until,
                  shape=shape)  # fmt: skip
    end = part.final_structure_step(total)
    assert end == math.ceil(round(until * total, 6)) and end >= until * total - 1e-5
    assert part.sparsity_at(0, total) == sparsity
    for step in range(0, total + 1, max(1, total // 97)):
        asked = part.sparsity_at(step, total)
        assert part.lowest - 1e-12 <= asked <= sparsity
        if step >= end:
            assert asked == sparsity
            assert part.is_due(step, total) == (step == end)


@pytest.mark.parametrize(
    "ratio, starts, peaks",
    [
        # of a run of 84 steps whose cycles end at step 42
        (2.0, [0, 6, 18], [3, 12, 30]),
        (0.5, [0, 24, 36], [12, 30, 39]),
        (1.0, [0, 14, 28], [7, 21, 35]),
    ],
)
@pytest.mark.parametrize("shape", ["cosine", "triangular"])
def test_cyclic_lengths_grow_by_their_ratio(ratio, starts, peaks, shape):
    part = cyclic(sparsity=0.9, lowest=0.6, cycles=3, until=0.5, shape=shape, length_ratio=ratio)
    asked = [part.sparsity_at(step, 84) for step in range(85)]
    ends = [*starts, *range(42, 85)]
    assert [asked[step] for step in ends] == pytest.approx([0.9] * len(ends))
    assert [asked[step] for step in peaks] == pytest.approx([0.6] * 3)
    assert all(a < 0.9 - 1e-6 for step, a in enumerate(asked[:42]) if step not in starts)


@given(st.floats(0.2, 4), st.integers(1, 5), st.integers(10, 3000))
def test_cyclic_of_any_length_ratio_stays_within_its_bounds(ratio, cycles, total):
    part = cyclic(sparsity=0.9, lowest=0.6, cycles=cycles, until=0.7, length_ratio=ratio)
    for step in range(0, total + 1, max(1, total // 97)):
        assert 0.6 - 1e-9 <= part.sparsity_at(step, total) <= 0.9


@given(st.integers(1, 4), st.integers(2, 18), st.integers(100, 4000))
def test_cyclic_updates_are_evenly_spaced(cycles, each, total):
    part = cyclic(cycles=cycles, until=0.5, updates_per_cycle=each)
    end = part.final_structure_step(total)
    due = [step for step in range(1, total + 1) if part.is_due(step, total)]
    assert len(due) == min(end, cycles * each) and due[-1] == end
    gaps = [b - a for a, b in zip([0, *due], due, strict=False)]
    assert max(gaps) - min(gaps) <= 1


def test_cyclic_update_interval_replaces_updates_per_cycle():
    part = cyclic(until=0.5, update_interval=7)
    assert [s for s in range(1, 101) if part.is_due(s, 100)] == [7, 14, 21, 28, 35, 42, 49, 50]


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"lowest": 0.95}, r"Cyclic.lowest = 0.95: must be in \[0, 0.9\]"),
        ({"lowest": -0.1}, "Cyclic.lowest"),
        ({"cycles": 0}, "Cyclic.cycles"),
        ({"until": 0.0}, "Cyclic.until"),
        ({"until": 1.0}, "Cyclic.until"),
        ({"shape": "square"}, "Cyclic.shape = 'square': must be 'cosine' or 'triangular'"),
        ({"updates_per_cycle": 1}, "Cyclic.updates_per_cycle"),
        ({"update_interval": 0}, "Cyclic.update_interval"),
        ({"length_ratio": 0.0}, "Cyclic.length_ratio"),
    ],
)
def test_cyclic_refuses_settings_out_of_range(settings, message):
    with pytest.raises(UserError, match=message):
        cyclic(**settings)


@pytest.mark.parametrize(
    "part, message",
    [
        (cyclic(update_interval=1000), "Cyclic would never change the sparsity"),
        (cyclic(RigL(update_interval=100)), "RigL would never update its masks after the cycles"),
        (cyclic(SET(update_interval=1, update_until=0.3)), "SET would never update"),
        (cyclic(SET(updates_per_run=2), until=0.5), "SET would never update"),
    ],
)
def test_cyclic_check_refuses_runs_without_updates(part, message):
    with pytest.raises(UserError, match=message):
        part.check(100)
    cyclic().check(100)


def test_cyclic_check_refuses_updates_only_at_the_ends_of_cycles():
    """At those steps the sparsity is the highest, so it would never change."""
    with pytest.raises(UserError, match="never change the sparsity"):
        cyclic(until=0.4, cycles=2, update_interval=20).check(100)


def test_cyclic_refusal_names_the_setting_given():
    with pytest.raises(UserError) as refused:
        cyclic(until=0.001).check(100)
    assert "None" not in refused.value.message.split("Lower")[0]


def test_cyclic_needs_a_budget_to_initialise_masks():
    with pytest.raises(UserError, match="no part initialises them"):
        Method("X", [cyclic()])
    with pytest.raises(UserError, match="Put ERK"):
        Method("X", [SynFlow(sparsity=0.9), cyclic()])


def test_cyclic_refuses_another_sparsity_than_the_budget():
    """The run would start at one and end at another."""
    with pytest.raises(UserError, match=r"Cyclic.sparsity|ERK.sparsity"):
        method, _ = started(tiny_resnet(), [ERK(0.8), cyclic(sparsity=0.9)], 40)
        method.check(40)


def test_cyclic_refuses_lowest_that_shared_tensors_cannot_hold():
    """A lowest of 0.1 asks for 90 % of the original weights; sharing stores about half."""
    net = tiny_resnet(depths=(4,))
    parts = [WeightSharing(2), ERK(0.8), cyclic(sparsity=0.8, lowest=0.1)]
    with pytest.raises(UserError, match="stores"):
        method, state = started(net, parts, 40)
        method.before_step(state)


# --- masks ----------------------------------------------------------------------------------------


def live_sets(state):
    return {name: set(state.masks.index(name).tolist()) for name in state.masks}


def total_at(part, state):
    sparsity = Fraction(repr(part.sparsity_at(state.step, state.total_steps)))
    return round((1 - sparsity) * state.dense_numel)


@pytest.mark.parametrize("shape", ["cosine", "triangular"])
@pytest.mark.parametrize("mover", [RigL, SET])
@pytest.mark.parametrize("before, budget", [([], ERK), ([WeightSharing(2)], ERK), ([DCTpS()], EPL)])
def test_cyclic_phase_only_grows_or_only_drops(shape, mover, before, budget):
    part = cyclic(mover(update_interval=1), until=0.5, updates_per_cycle=9, shape=shape)
    method, state = started(tiny_resnet(), [*before, budget(0.9), part], 40)
    history = {0: live_sets(state)}
    totals = {0: state.masks.total()}

    def each(state):
        history[state.step], totals[state.step] = live_sets(state), state.masks.total()
        if part.is_due(state.step, 40):
            assert state.masks.total() == total_at(part, state)
        elif state.step <= 20:
            assert history[state.step] == history[state.step - 1]
        for name, counts in state.budget.live_counts(state, state.sparsity).items():
            assert state.masks.live(name) == counts

    go(method, state, each=each)
    for step in range(1, 21):
        grows = (step - 1) % 10 < 5
        for name, live in history[step].items():
            earlier = history[step - 1][name]
            assert earlier <= live if grows else live <= earlier, (step, name)
    assert max(totals.values()) > 2.5 * totals[0]
    assert {totals[step] for step in range(20, 41)} == {totals[0]}


def test_cyclic_prunes_to_the_budget_at_its_end():
    """The last regular update leaves the network denser."""
    part = cyclic(RigL(update_interval=30), until=0.5, update_interval=9)
    method, state = started(tiny_resnet(), [ERK(0.9), part], 40)
    asked, totals = state.masks.total(), {}
    go(method, state, each=lambda s: totals.__setitem__(s.step, s.masks.total()))
    assert totals[18] > asked and totals[19] > asked
    assert totals[20] == asked == totals[40]


def test_cyclic_drops_smallest_and_grows_largest_gradients():
    part = cyclic(until=0.5, cycles=1, updates_per_cycle=10)
    method, state = started(tiny_resnet(), [ERK(0.9), part], 40)
    before = live_sets(state)

    def each(state):
        nonlocal before
        now = live_sets(state)
        for name, live in now.items():
            weights = flat(state.masks.parameters[name])
            score = flat(state.masks.parameters[name].grad).abs()
            grown, lost = sorted(live - before[name]), before[name] - live
            if grown:
                ungrown = sorted(set(range(len(weights))) - live)
                assert not weights[grown].any()
                assert not ungrown or score[grown].min() >= score[ungrown].max()
            assert not lost or not weights[sorted(lost)].any()
        before = now

    go(method, state, until=20, each=each)


def test_cyclic_mover_moves_masks_only_after_the_cycles():
    calls = []

    class Spy(SET):
        def after_step(self, state):
            calls.append(state.step)
            super().after_step(state)

    part = cyclic(Spy(update_interval=1), until=0.5)
    method, state = started(tiny_resnet(), [ERK(0.9), part], 20)
    live = {}
    go(method, state, each=lambda s: live.__setitem__(s.step, live_sets(s)))
    assert calls == list(range(11, 21))
    assert all(live[step] != live[step - 1] for step in range(11, 20))
    assert part.final_structure_step(20) == 10 == method.final_structure_step(20)


@pytest.mark.parametrize("at", [4, 10, 13])
def test_cyclic_resumes_exactly_within_a_cycle(at):
    def parts():
        return [ERK(0.9), cyclic(SET(update_interval=1), until=0.5)]

    method, state = started(tiny_resnet(), parts(), 20)
    files = []
    go(method, state, each=lambda s: files.append(through_a_file(s)) if s.step == at else None)
    again, other = resumed(tiny_resnet(seed=3), parts(), files[0], 20)
    go(again, other)
    assert live_sets(state) == live_sets(other)
    for name, value in state.model.state_dict().items():
        assert (value == other.model.state_dict()[name]).all()


def test_cyclic_mover_reads_gradients_in_the_cycles_too():
    part = cyclic(SNFS(update_interval=1), until=0.5)
    assert part.redistributes and not cyclic().redistributes
    assert all(part.needs_dense_gradients(step, 20) for step in range(1, 20))
    assert all(part.requires_dense_gradients(step, 20) for step in range(1, 20))
    method, state = started(tiny_resnet(), [ERK(0.9), part], 20)
    go(method, state, until=5)
    assert all(state.memory[f"snfs_momentum/{name}"].any() for name in state.masks)


def test_cyclic_declares_what_its_mover_declares():
    late = cyclic(SoftMEST(0.9, 0.5, update_interval=1), until=0.5)
    assert late.dense_to_sparse and not cyclic().dense_to_sparse
    assert (late.last_cycle_step(100), late.final_structure_step(100)) == (50, 75)
    layers = LayerDensities(ERK(0.5), {"first": 0.5})
    with pytest.raises(UserError, match="Cyclic moves live weights between layers"):
        Method("m", [layers, cyclic(DSR(0.1, update_interval=1), sparsity=0.5)])


def test_cyclic_refuses_what_its_mover_refuses():
    with pytest.raises(UserError, match="drop_fraction"):
        cyclic(RigL(Cosine(1.5), update_interval=1)).check(100)
