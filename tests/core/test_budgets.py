"""Budgets: exact totals, Sainte-Laguë apportionment, ERK as published."""

import math
from collections import Counter
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import nn

from dstbench.core.apportion import apportion
from dstbench.core.budgets import EPL, ERK, Uniform
from dstbench.core.masks import Masks, flat
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods.weight_sharing import WeightSharing
from dstbench.models.resnet import ResNet34, ResNet50
from dstbench.sparsity import live_total


def state_of(model, seed=0):
    return State(model, (3, 32, 32), seed, 100)


@pytest.fixture(scope="module")
def resnet34():
    with torch.device("meta"):  # shapes are all that budgets look at
        return state_of(ResNet34(10))


@pytest.fixture(scope="module")
def resnet50():
    with torch.device("meta"):
        return state_of(ResNet50(10))


# --- the total ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sparsity, dense, live",
    [
        (0.0, 7, 7),
        (0, 7, 7),
        (0.9, 10, 1),
        (0.5, 5, 2),  # 2.5: half to even, as round() has it
        (0.9985, 1000, 2),  # exactly 1.5; (1 − 0.9985) · 1000 in floats is below it
        (0.9999, 21_265_088, 2127),
        (0.9995, 21_265_088, 10_633),
        (1e-07, 10_000_000, 9_999_999),
    ],
)
def test_live_total(sparsity, dense, live):
    assert live_total(sparsity, dense) == live


@given(st.decimals(0, 1, places=7), st.integers(1, 10**8))
def test_live_total_is_exact_in_the_digits_written(sparsity, dense):
    assert live_total(float(sparsity), dense) == round((1 - Fraction(sparsity)) * dense)


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 10**8))
def test_live_total_accepts_any_float(sparsity, dense):
    assert abs(live_total(sparsity, dense) - (1 - sparsity) * dense) <= 0.5 + 1e-6
    assert live_total(np.float64(sparsity), dense) == live_total(sparsity, dense)


# --- apportionment --------------------------------------------------------------------------------


def seat_by_seat(total, weights, caps, least=1):
    """Sainte-Laguë as it is defined: `least` each, then one at a time, ties to the first."""
    seats = [least] * len(weights)
    for _ in range(total - sum(seats)):
        open_ = [i for i in range(len(weights)) if seats[i] < caps[i]]
        seats[max(open_, key=lambda i: (Fraction(weights[i], 2 * seats[i] + 1), -i))] += 1
    return seats


@st.composite
def elections(draw):
    tensors = st.tuples(st.integers(1, 5000) | st.integers(1, 4), st.integers(1, 30))
    weights, caps = zip(*draw(st.lists(tensors, min_size=1, max_size=7)), strict=True)
    return draw(st.integers(len(caps), sum(caps))), list(weights), list(caps)


@given(elections())
def test_apportion_is_sainte_lague(election):
    assert apportion(*election) == seat_by_seat(*election)
    assert apportion(*election, least=0) == seat_by_seat(*election, least=0)


def test_apportion_without_a_least_gives_none_to_the_small():
    assert apportion(3, [10, 1, 9], [5, 5, 1], least=0) == [2, 0, 1]
    assert apportion(0, [1, 1], [0, 3], least=0) == [0, 0]


@given(elections())
def test_apportion_is_exact_and_within_bounds(election):
    total, _, caps = election
    seats = apportion(*election)
    assert sum(seats) == total
    assert all(1 <= s <= c for s, c in zip(seats, caps, strict=True))


@given(elections())
def test_apportion_of_one_more_seat_takes_none_away(election):
    total, weights, caps = election
    if total < sum(caps):
        fewer, more = apportion(total, weights, caps), apportion(total + 1, weights, caps)
        gained = [m - f for f, m in zip(fewer, more, strict=True)]
        assert sorted(gained) == [0] * (len(gained) - 1) + [1]


@given(
    st.lists(st.tuples(st.integers(1, 10**7), st.integers(1, 10**7)), min_size=1, max_size=50),
    st.floats(0, 1),
)
def test_apportion_at_real_sizes_is_proportional(tensors, share):
    """No seat that was given has a lower priority than one that was not, minimum and cap aside."""
    weights, caps = map(list, zip(*tensors, strict=True))
    total = max(len(caps), min(sum(caps), int(share * sum(caps))))
    seats = apportion(total, weights, caps)
    assert sum(seats) == total
    tensors = list(zip(seats, weights, caps, strict=True))
    given_ = [Fraction(w, 2 * s - 1) for s, w, _ in tensors if s > 1]
    denied = [Fraction(w, 2 * s + 1) for s, w, c in tensors if s < c]
    assert not given_ or not denied or min(given_) >= max(denied)


def test_apportion_breaks_ties_in_tensor_order():
    assert apportion(7, [5, 5, 5], [9, 9, 9]) == [3, 2, 2]
    assert apportion(8, [5, 5, 5], [9, 9, 9]) == [3, 3, 2]


@pytest.mark.parametrize("total", [2, 13])
def test_apportion_refuses_impossible_totals(total):
    with pytest.raises(ValueError):
        apportion(total, [1, 1, 1], [4, 4, 4])


# --- budgets on networks --------------------------------------------------------------------------


def saturated(state, sparsity):
    counts = ERK(sparsity).live_counts(state, sparsity)
    return [n for n, c in counts.items() if c == state.masks.parameters[n].numel()]


def test_erk_saturates_the_classifier_at_99_percent_only(resnet34):
    assert saturated(resnet34, 0.99) == ["classifier.weight"]
    for sparsity in (0.999, 0.9995, 0.9999):
        assert saturated(resnet34, sparsity) == []


def erk_expectation(state, sparsity):
    """Fractional live weights: ε · Σ dimensions, what exceeds its size made dense, ε re-solved."""
    shapes = {name: p.shape for name, p in state.masks.parameters.items()}
    dense = set()
    while True:
        free = set(shapes) - dense
        left = (1 - sparsity) * state.dense_numel - sum(shapes[n].numel() for n in dense)
        epsilon = left / sum(sum(shapes[n]) for n in free)
        worst = max(epsilon * sum(shapes[n]) / shapes[n].numel() for n in free)
        if worst <= 1:
            return {n: shapes[n].numel() if n in dense else epsilon * sum(s) for n, s in
                    shapes.items()}  # fmt: skip
        dense |= {
            n for n in free
            if epsilon * sum(shapes[n]) / shapes[n].numel() >= worst * (1 - 1e-12)
        }  # fmt: skip


@pytest.mark.parametrize("net", ["resnet34", "resnet50"])
@pytest.mark.parametrize("sparsity", [0.5, 0.9, 0.99, 0.999, 0.9995, 0.9999])
def test_erk_matches_expected_counts_within_rounding(net, sparsity, request):
    state = request.getfixturevalue(net)
    counts = ERK(sparsity).live_counts(state, sparsity)
    expected = erk_expectation(state, sparsity)
    assert list(counts) == list(state.masks.parameters)
    assert sum(counts.values()) == live_total(sparsity, state.dense_numel)
    # Sainte-Laguë is not bound to the two neighbours of an expectation, only near to it.
    assert all(abs(counts[n] - max(1, expected[n])) < 1.5 for n in counts)


def test_erk_gives_resnet50_stem_three_weights(resnet50):
    """At 99.99 % it expects 3.3."""
    assert 3.2 < erk_expectation(resnet50, 0.9999)["stem.conv1.weight"] < 3.4
    assert ERK(0.9999).live_counts(resnet50, 0.9999)["stem.conv1.weight"] == 3


@given(st.floats(0, 0.9999), st.floats(0, 0.9999))
def test_erk_counts_are_monotone_in_sparsity(resnet34, one, other):
    sparse, dense = max(one, other), min(one, other)
    few, many = (ERK(0).live_counts(resnet34, s) for s in (sparse, dense))
    assert all(few[n] <= many[n] for n in few)


def test_epl_gives_equal_counts_except_to_small_tensors(resnet34):
    counts = EPL(0.99).live_counts(resnet34, 0.99)
    sizes = {n: p.numel() for n, p in resnet34.masks.parameters.items()}
    level = max(counts.values())
    assert sum(counts.values()) == 212_651
    assert all(c in (level, level - 1) or c == sizes[n] for n, c in counts.items())
    assert counts["stem.conv1.weight"] == 1728


def test_uniform_gives_every_tensor_the_same_sparsity(resnet34):
    counts = Uniform(0.99).live_counts(resnet34, 0.99)
    for name, parameter in resnet34.masks.parameters.items():
        assert abs(counts[name] - 0.01 * parameter.numel()) <= 1


# --- the first masks ------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [ERK, EPL, Uniform])
@given(sparsity=st.floats(0, 0.98), seed=st.integers(0, 5))
def test_budget_initial_masks_have_exact_counts(small_net, budget, sparsity, seed):
    state = state_of(small_net(), seed)
    part = budget(sparsity)
    part.init_masks(state)
    assert state.masks.total() == live_total(sparsity, state.dense_numel)
    assert state.masks.counts() == part.live_counts(state, sparsity)
    for name, mask in state.masks.items():
        assert int(mask.sum()) == state.masks.live(name) >= 1
        assert not state.masks.parameters[name][~mask].any()
        assert state.masks.parameters[name][mask].all()


def test_budget_initial_masks_are_uniformly_random():
    seen = Counter()
    for seed in range(800):
        state = state_of(nn.Linear(6, 5, bias=False), seed)
        ERK(0.7).init_masks(state)
        seen.update(state.masks.index("weight").tolist())
    assert sum(seen.values()) == 800 * 9
    assert chisquare([seen[i] for i in range(30)]).pvalue > 1e-6


def test_budget_initial_masks_depend_on_the_seed_alone(small_net):
    def masks(seed):
        state = state_of(small_net(), seed)
        ERK(0.9).init_masks(state)
        return [flat(m).clone() for m in state.masks.values()]

    torch.manual_seed(123)
    one, other = masks(1), masks(1)
    assert all(map(torch.equal, one, other))
    assert not all(map(torch.equal, one, masks(2)))


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sparsity", [1.0, -0.1, 99.9, float("nan")])
@pytest.mark.parametrize("budget", [ERK, EPL, Uniform])
def test_budget_refuses_sparsity_out_of_range(budget, sparsity):
    with pytest.raises(UserError, match=r"sparsity = .*must be .*0\.999 for 99\.9 %") as error:
        budget(sparsity)
    assert error.value.binding == f"{budget.__name__}.sparsity"


def test_budget_refuses_sparsity_that_empties_a_layer(resnet34):
    with pytest.raises(UserError, match="leaves 21 weights for 37 layers") as error:
        ERK(0.999999).live_counts(resnet34, 0.999999)
    assert error.value.binding == "ERK.sparsity"


@given(
    st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), min_size=1, max_size=6),
)
def test_budget_accepts_the_highest_sparsity_its_message_names(shapes):
    """Advice that is refused when it is followed is worse than none."""
    with torch.device("meta"):
        model = nn.Sequential(*(nn.Linear(i, o, bias=False) for i, o in shapes))
    state, part = state_of(model), ERK(0.999999999)
    if live_total(part.sparsity, state.dense_numel) >= len(shapes):
        return
    with pytest.raises(UserError, match="highest sparsity") as error:
        part.live_counts(state, part.sparsity)
    words = error.value.message.split()
    advised = next(w for w in words[words.index("highest") :] if w[0].isdigit()).rstrip(".,")
    counts = part.live_counts(state, float(Decimal(advised)))
    assert min(counts.values()) >= 1


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(7, 7, bias=False), nn.Linear(7, 7, bias=False)


def test_budget_divides_the_original_total_among_shared_tensors():
    state = state_of(Shared())
    state.model.two.weight = state.model.one.weight  # as a part's surgery would
    state.masks = type(state.masks)(state.model)
    assert ERK(0.9).live_counts(state, 0.9) == {"one.weight": 10}
    with pytest.raises(UserError, match="stores 49") as error:
        ERK(0.4).live_counts(state, 0.4)
    assert "59 live weights" in error.value.message


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 9))
def test_budget_of_shared_tensors_accepts_the_lowest_sparsity_its_message_names(i, o, private):
    with torch.device("meta"):
        layers = [nn.Linear(i, o, bias=False) for _ in range(3)]
        model = nn.Sequential(*layers, nn.Linear(private, 1, bias=False))
    state = state_of(model)
    for layer in layers[1:]:
        layer.weight = layers[0].weight
    state.masks = type(state.masks)(model)
    with pytest.raises(UserError, match="Ask for at least") as error:
        ERK(0.0).live_counts(state, 0.0)
    advised = Decimal(error.value.message.split()[-1].rstrip("."))
    counts = ERK(float(advised)).live_counts(state, float(advised))
    assert sum(counts.values()) == i * o + private  # all that it stores


def test_apportion_gives_one_tensor_several_of_the_last_seats():
    # Tensors of the first kind are full: all that is left goes to the last one, seat by seat.
    assert apportion(3 + 7, [1000, 1000, 1], [1, 2, 9]) == [1, 2, 7]
    assert apportion(103, [1] * 50 + [10**15], [1] * 50 + [60]) == [1] * 50 + [53]


# --- a floor that overspends ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "floor", "overspent"),
    [
        ("resnet34", 0.6, 2.8),
        ("resnet34", 0.7, 8.5),
        ("resnet50", 0.6, 15.2),
        ("resnet50", 0.7, 20.1),
    ],
)
def test_erk_floor_exceeds_the_budget(net, floor, overspent, request):
    """Percent more live weights than 99.99 % leaves."""
    state = request.getfixturevalue(net)
    plain = ERK(0.9999).live_counts(state, 0.9999)
    spent = ERK(0.9999, floor).live_counts(state, 0.9999)
    assert round(100 * (sum(spent.values()) / sum(plain.values()) - 1), 1) == overspent
    for name, parameter in state.masks.parameters.items():
        least = Fraction(repr(floor)) * Fraction("0.0001") * parameter.numel()
        assert spent[name] == max(plain[name], math.ceil(least))


@pytest.mark.parametrize(
    ("model", "floor", "overspent"),
    [(ResNet34, 0.6, 4.8), (ResNet34, 0.7, 11.1), (ResNet50, 0.6, 14.8), (ResNet50, 0.7, 19.1)],
)
def test_erk_floor_exceeds_the_budget_of_a_sharing_network(model, floor, overspent):
    """The network that the public EAST code has, and the percentages found for its floors."""
    with torch.device("meta"):
        state = state_of(model(10))
        WeightSharing().surgery(state)
    state.masks = Masks(state.model)
    spent = sum(ERK(0.9999, floor).live_counts(state, 0.9999).values())
    assert round(100 * (spent / live_total(0.9999, state.dense_numel) - 1), 1) == overspent


def test_erk_floor_lowers_measured_sparsity(small_net):
    state = state_of(small_net())
    ERK(0.95, floor=1.0).init_masks(state)
    assert state.masks.total() > live_total(0.95, state.dense_numel)
    assert state.sparsity == 1 - state.masks.total() / state.dense_numel < 0.95


@given(st.floats(0, 0.9999), st.floats(0, 0.9999), st.floats(0.01, 1))
def test_erk_floor_counts_are_monotone_and_within_tensor_size(resnet34, one, other, floor):
    sparse, dense = max(one, other), min(one, other)
    part = ERK(0, floor)
    few, many = (part.live_counts(resnet34, s) for s in (sparse, dense))
    for name, parameter in resnet34.masks.parameters.items():
        assert 1 <= few[name] <= many[name] <= parameter.numel()


def test_erk_floor_is_relative_to_the_density_of_shared_tensors():
    state = state_of(Shared())
    state.model.two.weight = state.model.one.weight
    state.masks = type(state.masks)(state.model)
    # 98 weights were, 49 are: 0.1 of the former is 0.2 of the latter, as the budget has it anyway.
    assert ERK(0.9, floor=1.0).live_counts(state, 0.9) == {"one.weight": 10}
    assert ERK(0.5, floor=1.0).live_counts(state, 0.5) == {"one.weight": 49}


@pytest.mark.parametrize("floor", [0.0, -0.1, 1.5])
def test_erk_refuses_floor_out_of_range(floor):
    with pytest.raises(UserError, match=r"ERK\.floor = .*must be a fraction") as error:
        ERK(0.9, floor)
    assert error.value.binding == "ERK.floor"
