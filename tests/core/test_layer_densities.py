"""LayerDensities: fixed densities, exact totals, and the other budget's counts for the rest."""

import pytest
import torch
from helpers.tiny_runs import started, tiny_resnet
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn

from dstbench.core.budgets import EPL, ERK, Uniform
from dstbench.core.layer_densities import LayerDensities
from dstbench.core.method import Method
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods.connected import LimitedFanIn
from dstbench.methods.cyclic import Cyclic
from dstbench.methods.dsr import DSR
from dstbench.methods.rigl import RigL
from dstbench.methods.snfs import SNFS
from dstbench.sparsity import live_total


def chain():
    layers = [nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 4, 3), nn.Linear(16, 5)]
    return State(nn.Sequential(*layers), (3, 8, 8), 0, 40)


def counts(budget, sparsity=None):
    state = chain()
    given = budget.sparsity if sparsity is None else sparsity
    return list(budget.live_counts(state, given).values()), state.dense_numel


def test_first_and_last_stay_dense_and_cost_live_weights():
    found, numel = counts(LayerDensities(EPL(0.5), {"first": 1.0, "last": 1.0}))
    assert (found[0], found[3]) == (216, 80)
    assert sum(found) == live_total(0.5, numel)
    assert found[1] - found[2] in (0, 1)  # equal counts of the other layers


@pytest.mark.parametrize("pattern", ["1", "1.weight", "[1]", "1*"])
def test_layers_are_named_by_patterns(pattern):
    found, _ = counts(LayerDensities(Uniform(0.5), {pattern: 0.25}))
    assert found[1] == 144


def test_without_fixed_layers_the_counts_are_those_of_the_other_budget():
    for budget in (ERK(0.9), EPL(0.9), Uniform(0.9), ERK(0.9, floor=0.6)):
        assert counts(LayerDensities(budget, {})) == counts(budget)


@example(ERK, 0.5, {"0": 0.5, "2": 0.5, "1": 0.5, "3": 0.5})  # all of them, in another order
@given(
    st.sampled_from([ERK, EPL, Uniform]),
    st.floats(0.05, 0.98),
    st.dictionaries(st.sampled_from(["0", "1", "2", "3"]), st.floats(0.001, 1.0), max_size=4),
)
def test_the_total_is_exact_and_fixed_layers_have_their_density(budget, sparsity, densities):
    try:
        found, numel = counts(LayerDensities(budget(sparsity), densities))
    except UserError:
        return  # the layers cannot hold the total
    sizes = [p.numel() for p in chain().masks.parameters.values()]
    assert sum(found) == live_total(sparsity, numel)
    assert all(1 <= live <= size for live, size in zip(found, sizes, strict=True))
    for name, density in densities.items():
        assert found[int(name)] == max(1, round(density * sizes[int(name)]))


@given(st.floats(0.2, 0.9), st.floats(0.0, 0.8))
def test_no_count_falls_when_the_sparsity_does(sparsity, less):
    budget = LayerDensities(ERK(0.5), {"last": 0.5})
    dense, sparse = (counts(budget, s)[0] for s in (sparsity * (1 - less), sparsity))
    assert all(a >= b for a, b in zip(dense, sparse, strict=True))


@pytest.mark.parametrize(
    ("densities", "words"),
    [
        ({"frist": 1.0}, "no layer is called 'frist'. Did you mean 'first'"),
        ({"0": 1.0, "first": 0.5}, "0.weight has two densities, 1.0 and 0.5"),
        ({"1": 1.0}, "have 576 of 116 live weights, and the 3 others can have 3 to 584"),
    ],
)
def test_layers_that_do_not_fit_are_refused(densities, words):
    with pytest.raises(UserError, match=words):
        counts(LayerDensities(ERK(0.9), densities))


@pytest.mark.parametrize("density", [0.0, 1.5, -1, "dense"])
def test_densities_out_of_range_are_refused(density):
    with pytest.raises(UserError, match="a density in"):
        LayerDensities(ERK(0.9), {"first": density})


def test_masks_have_the_counts_and_rewiring_keeps_them():
    parts = [LayerDensities(ERK(0.9), {"first": 1.0}), RigL(updates_per_run=4)]
    _, state = started(tiny_resnet(), parts)
    first = next(iter(state.masks))
    before = state.masks.counts()
    assert before[first] == state.masks.parameters[first].numel()
    torch.manual_seed(0)
    for parameter in state.model.parameters():
        parameter.grad = torch.randn_like(parameter)
    parts[1].update(state, 0.5)
    assert state.masks.counts() == before


def test_other_parts_take_it_as_a_budget():
    budget = LayerDensities(ERK(0.9), {"first": 0.5})
    _, state = started(tiny_resnet(), [LimitedFanIn(budget)])
    first = next(iter(state.masks))
    assert state.masks.live(first) == round(0.5 * state.masks.parameters[first].numel())
    assert state.masks.total() == live_total(0.9, state.dense_numel)
    cyclic = Cyclic(RigL(updates_per_run=4), 0.9)
    _, state = started(tiny_resnet(), [budget, cyclic])
    assert state.budget is budget


@pytest.mark.parametrize("mover", [DSR(0.1, update_interval=4), SNFS(0.1, update_interval=4)])
def test_methods_that_move_weights_between_layers_are_refused(mover):
    with pytest.raises(UserError, match="moves live weights between layers"):
        Method("Test", [LayerDensities(ERK(0.9), {"first": 1.0}), mover])
