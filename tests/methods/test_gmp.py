"""GMP: its sparsity at every step, and what is pruned."""

import pytest
from helpers.tiny_runs import go, resumed, started, through_a_file, tiny_resnet

from dstbench.core.budgets import ERK, Uniform
from dstbench.core.layer_densities import LayerDensities
from dstbench.core.masks import flat
from dstbench.core.method import Method
from dstbench.errors import UserError
from dstbench.methods.global_magnitude import GlobalMagnitude
from dstbench.methods.gmp import GMP
from dstbench.methods.rigl import RigL
from dstbench.methods.weight_sharing import WeightSharing
from dstbench.sparsity import live_total

ENDS = {"first": 1.0, "last": 1.0}


def gmp(sparsity=0.9, of=None, until=0.5, **settings):
    settings = settings or {"update_interval": 4}
    return GMP(sparsity, of or GlobalMagnitude(), until=until, **settings)


@pytest.mark.parametrize(
    "step, sparsity",
    # of 100 steps, from 20 to 60: 1 − x is 3/4, 1/2, 1/4 at steps 30, 40, 50
    [(0, 0), (20, 0), (30, 0.8 * 37 / 64), (40, 0.8 * 7 / 8), (50, 0.8 * 63 / 64), (60, 0.8)],
)
def test_sparsity_follows_the_cubic_schedule(step, sparsity):
    part = gmp(0.8, begin=0.2, until=0.6, update_interval=10)
    assert part.sparsity_at(step, 100) == pytest.approx(sparsity)
    started_at = 0.4 + sparsity / 2  # halfway between 0.8 and what it is from 0
    assert part.sparsity_at(step, 100, initial=0.4) == pytest.approx(started_at)
    assert part.sparsity_at(60, 100) == part.sparsity_at(100, 100) == 0.8


def test_updates_are_those_of_the_run_within_begin_and_until_and_one_at_until():
    part = gmp(begin=0.2, until=0.55, update_interval=10)
    assert [s for s in range(101) if part.prunes_at(s, 100)] == [30, 40, 50, 55]
    part = gmp(until=0.5, updates_per_run=8)
    assert [s for s in range(101) if part.prunes_at(s, 100)] == [13, 25, 38, 50]
    assert part.final_structure_step(100) == 50


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"sparsity": 1.0}, "GMP.sparsity"),
        ({"begin": 1.0, "updates_per_run": 9}, "GMP.begin"),
        ({"begin": 0.5, "updates_per_run": 9}, "GMP.until"),
        ({"until": 1.0}, "GMP.until"),
        ({"updates_per_run": None}, "GMP has no update schedule"),
        ({"of": Uniform(0.8)}, "Uniform.sparsity = 0.8"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        gmp(**settings)


def test_run_without_an_update_before_the_last_is_refused():
    with pytest.raises(UserError, match="prune once only, at step 50 of 100"):
        gmp(update_interval=50).check(100)
    gmp(update_interval=49).check(100)


def test_budget_that_cannot_hold_what_the_first_update_leaves_is_refused_before_training():
    """A layer with few live weights from the start: the others cannot have all the rest."""
    budget = LayerDensities(ERK(0.9), {"first": 0.1})
    started(tiny_resnet(), [gmp(of=budget)], 40)
    with pytest.raises(UserError, match="layers with a density of their own"):
        started(tiny_resnet(), [gmp(of=budget, update_interval=1)], 4000)


def test_gmp_cannot_be_combined_with_a_part_that_moves_masks():
    with pytest.raises(UserError, match="both move the masks"):
        Method("X", [gmp(), RigL(update_interval=3)])


DIVISIONS = {
    "global": lambda: GlobalMagnitude(),
    "ERK": lambda: ERK(0.9),
    "uniform": lambda: Uniform(0.9),
    "ends": lambda: LayerDensities(Uniform(0.9), ENDS),
}


@pytest.mark.parametrize("of", DIVISIONS)
@pytest.mark.parametrize("shared", [False, True])
def test_counts_are_exact_and_masks_only_shrink(of, shared):
    part = gmp(of=DIVISIONS[of]())
    before = [WeightSharing(2)] if shared else []
    method, state = started(tiny_resnet(depths=(1, 4)), [*before, part], 40)
    stored = sum(p.numel() for p in state.masks.parameters.values())
    assert state.masks.total() == stored and (stored < state.dense_numel) == shared
    earlier = {name: set(state.masks.index(name).tolist()) for name in state.masks}
    totals = [stored]

    def each(state):
        if part.prunes_at(state.step, 40):
            asked = part.sparsity_at(state.step, 40, 1 - stored / state.dense_numel)
            totals.append(live_total(asked, state.dense_numel))
        assert state.masks.total() == totals[-1]
        for name in state.masks:
            live = set(state.masks.index(name).tolist())
            assert live <= earlier[name]
            earlier[name] = live

    go(method, state, each=each)
    assert totals == sorted(totals, reverse=True) and len(set(totals)) == len(totals) == 6
    assert totals[-1] == live_total(0.9, state.dense_numel)


def test_smallest_magnitudes_of_all_layers_are_pruned():
    part = gmp()
    method, state = started(tiny_resnet(), [part], 40)
    go(method, state, until=3)
    seen = {}

    class Spy(GMP):
        def prune_(self, state, targets):
            weights = state.masks.parameters
            seen.update({name: flat(w).abs().clone() for name, w in weights.items()})
            super().prune_(state, targets)

    method.parts = (Spy(0.9, GlobalMagnitude(), update_interval=4),)
    go(method, state, until=4)
    live = {name: flat(mask) for name, mask in state.masks.items()}
    kept = min(seen[name][live[name]].min() for name in live if live[name].any())
    pruned = max(seen[name][~live[name]].max() for name in live if not live[name].all())
    assert kept >= pruned


def test_training_before_the_first_update_is_that_of_a_dense_network():
    method, state = started(tiny_resnet(), [gmp()], 40)
    dense, other = started(tiny_resnet(), [], 40)
    go(method, state, until=3)
    go(dense, other, until=3)
    for name, value in state.model.state_dict().items():
        assert (value == other.model.state_dict()[name]).all(), name


@pytest.mark.parametrize("at", [3, 9, 30])
def test_resumed_run_is_the_same(at):
    method, state = started(tiny_resnet(), [gmp()], 40)
    saved = []
    go(method, state, each=lambda s: saved.append(through_a_file(s)) if s.step == at else None)
    again, other = resumed(tiny_resnet(seed=3), [gmp()], saved[0], 40)
    go(again, other)
    for name, value in state.model.state_dict().items():
        assert (value == other.model.state_dict()[name]).all()


def test_no_step_reads_gradients_of_dead_weights():
    part = gmp()
    assert not any(part.requires_dense_gradients(step, 40) for step in range(1, 41))


@pytest.mark.parametrize("of", [GlobalMagnitude(), Uniform(0.2)])
def test_a_sparsity_below_that_of_shared_weights_is_refused(of):
    parts = [WeightSharing(), gmp(0.2, of)]
    with pytest.raises(UserError, match=r"Ask for .*at least 0\.511"):
        started(tiny_resnet(depths=(4, 4)), parts)
