"""DropGrow: a truth table of updates of eight weights, and invariants of any tensor.

The method under test takes its growth scores from a table.
"""

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor, nn

from dstbench.core.budgets import ERK
from dstbench.core.drop_grow import DropGrow
from dstbench.core.masks import flat
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods.set import SET
from dstbench.optim.settings import SGD, Adam, TorchOptimizer
from dstbench.sparsity import live_total


class Scored(DropGrow):
    """Grows by given scores; None is random growth."""

    def __init__(self, scores=None, **settings):
        super().__init__(**({"updates_per_run": 2} | settings))
        self.scores = scores

    def grow_score(self, state: State, name: str) -> Tensor | None:
        return self.scores


def update(state, scores, fraction, target=None):
    """One update of a one-tensor State; returns the positions live before and after it."""
    before = set(state.masks.index("weight").tolist())
    Scored(scores).update(state, fraction, None if target is None else {"weight": target})
    return before, set(state.masks.index("weight").tolist())


# --- the truth table ------------------------------------------------------------------------------

FALLING = [8, -7, 6, -5, 4, -3, 2, -1]  # magnitudes fall with the position, signs alternate
RISES = [1, 2, 3, 4, 5, 6, 7, 8]
FALLS = [8, 7, 6, 5, 4, 3, 2, 1]
FOUR, ALL = range(4), range(8)

TABLE = [
    # live, score, drop fraction, target → live             swap drop grow
    (FOUR, RISES, 0.0, 4, {0, 1, 2, 3}),  #                    0    0    0
    (FOUR, RISES, 0.2, 4, {0, 1, 2, 7}),  #                    1    1    1
    (FOUR, RISES, 0.25, 4, {0, 1, 2, 7}),  #                   1    1    1
    (FOUR, RISES, 0.3, 4, {0, 1, 6, 7}),  # ⌈1.2⌉              2    2    2
    (FOUR, RISES, 0.5, 4, {0, 1, 6, 7}),  #                    2    2    2
    (FOUR, RISES, 1.0, 4, {0, 5, 6, 7}),  # one is kept        3    3    3
    (FOUR, FALLS, 0.5, 4, {0, 1, 2, 3}),  # dropped, regrown   2    2    2
    (FOUR, FALLS, 1.0, 4, {0, 1, 2, 3}),  #                    3    3    3
    (FOUR, RISES, 0.5, 6, {0, 1, 4, 5, 6, 7}),  # growing      2    2    4
    (FOUR, FALLS, 0.5, 6, {0, 1, 2, 3, 4, 5}),  #              2    2    4
    (FOUR, RISES, 0.0, 7, {0, 1, 2, 3, 5, 6, 7}),  #           0    0    3
    (FOUR, RISES, 0.5, 8, {0, 1, 2, 3, 4, 5, 6, 7}),  #        2    2    6
    (FOUR, RISES, 0.5, 3, {0, 6, 7}),  # shrinking             2    3    2
    (FOUR, RISES, 0.0, 2, {0, 1}),  #                          0    2    0
    (FOUR, RISES, 0.25, 2, {0, 7}),  #                         1    3    1
    (ALL, RISES, 0.0, 1, {0}),  #                              0    7    0
    (ALL, RISES, 0.25, 8, {0, 1, 2, 3, 4, 5, 6, 7}),  # dense  2    2    2
    (ALL, RISES, 0.25, 5, {0, 1, 2, 6, 7}),  #                 2    5    2
    ([5], RISES, 1.0, 1, {5}),  # a single weight              0    0    0
    ([5], RISES, 0.5, 3, {5, 6, 7}),  #                        0    0    2
    ([2, 6], RISES, 0.5, 2, {2, 7}),  #                        1    1    1
]


@pytest.mark.parametrize("live, scores, fraction, target, expected", TABLE)
def test_update_matches_truth_table(eight, live, scores, fraction, target, expected):
    state = eight(FALLING, live)
    _, after = update(state, torch.tensor(scores, dtype=torch.float32), fraction, target)
    assert after == expected


@pytest.mark.parametrize("live, scores, fraction, target, expected", TABLE)
def test_update_moves_weights_and_momentum_as_listed(
    eight, live, scores, fraction, target, expected
):
    """What was dead begins at zero, momentum too; what was live keeps both, regrown or not."""
    state = eight(FALLING, live)
    optimizer = SGD(momentum=0.9, weight_decay=0.0, nesterov=False)
    state.optimizer = optimizer.build(state.model, state.masks)
    state.model.weight.grad = torch.full((1, 8), 2.0)
    state.optimizer.step(0.0)  # the momentum of live weights is 2, nothing moves
    before, after = update(state, torch.tensor(scores, dtype=torch.float32), fraction, target)
    weights = [FALLING[i] if i in before & after else 0.0 for i in range(8)]
    assert state.model.weight.tolist() == [weights]
    momentum = state.optimizer.state_dict()["slots"]["momentum"]["weight"]
    assert momentum.tolist() == [2.0 if i in before else 0.0 for i in sorted(after)]


@pytest.mark.parametrize("fraction", [0.5, 1.0])
@pytest.mark.parametrize("target", [1, 2, 3])
def test_update_may_shrink_a_layer_by_more_than_half(eight, fraction, target):
    """Swap and shrinkage together may exceed what is live: both sides are clamped."""
    state = eight(FALLING)
    _, after = update(state, torch.tensor(RISES, dtype=torch.float32), fraction, target)
    assert len(after) == target


@pytest.mark.parametrize("fraction, live, swap", [(0.07, 100, 7), (0.55, 100, 55), (0.3, 10, 3)])
def test_swap_ignores_floating_point_error(fraction, live, swap):
    """0.07 · 100 is 7, and 7.000000000000001 in floats."""
    model = nn.Linear(300, 1, bias=False)
    state = State(model, (1, 1, 300), 0, 100)
    state.set_live_("weight", torch.arange(live))
    before, after = update(state, torch.arange(300.0), fraction)
    assert len(before - after) == swap


# --- invariants -----------------------------------------------------------------------------------


@st.composite
def tensors(draw):
    """(State of one tensor, its growth scores): of every sort that training may bring about."""
    n = draw(st.integers(1, 48))
    rng = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    model = nn.Linear(n, 1, bias=False)
    state = State(model, (1, 1, n), draw(st.integers(0, 1000)), 100)
    live = torch.randperm(n, generator=rng)[: draw(st.integers(1, n))]
    state.set_live_("weight", live)
    kind = draw(st.sampled_from(["distinct", "zero", "constant", "coarse", "nan"]))
    signs = (torch.rand(n, generator=rng) - 0.5).sign()
    flat(model.weight)[live] = (values(kind, n, rng) * signs)[live]
    kind = draw(st.sampled_from(["distinct", "zero", "constant", "coarse", "nan", "none"]))
    if kind == "nan":  # of a run that diverges; other scores are never NaN
        model.weight.grad = torch.full_like(model.weight, torch.nan)
    return state, None if kind == "none" else values(kind, n, rng)


def values(kind, n, rng):
    ranks = torch.randperm(n, generator=rng).float() + 1
    return {
        "distinct": ranks,
        "zero": torch.zeros(n),
        "constant": torch.full((n,), 0.5),
        "coarse": (ranks % 3),
        "nan": torch.where(ranks % 3 == 0, torch.nan, ranks),
    }[kind]


fractions = st.floats(0, 1)


@given(tensors(), fractions)
def test_update_keeps_live_count(drawn, fraction):
    state, scores = drawn
    live = state.masks.live("weight")
    for _ in range(3):
        update(state, scores, fraction)
        assert state.masks.live("weight") == int(state.masks["weight"].sum()) == live
        assert not state.model.weight[~state.masks["weight"]].any()


@given(tensors(), fractions, st.data())
def test_update_ends_at_its_target(drawn, fraction, data):
    state, scores = drawn
    target = data.draw(st.integers(1, state.model.weight.numel()))
    update(state, scores, fraction, target)
    assert state.masks.live("weight") == int(state.masks["weight"].sum()) == target


@given(tensors(), fractions, st.integers(0, 10))
def test_update_drops_smallest_live_magnitudes(drawn, fraction, more):
    state, _ = drawn
    n, live = state.model.weight.numel(), state.masks.live("weight")
    swap = min(math.ceil(fraction * live), live - 1)
    target = min(live + more, n)
    assume(target + swap <= n)  # so that none of the dropped has to grow again
    magnitude = flat(state.model.weight).abs().nan_to_num(nan=-1.0)
    before = state.masks.index("weight")
    scores = torch.ones(n).index_fill_(0, before, 0.0)
    before, after = update(state, scores, fraction, target)
    dropped, kept = before - after, before & after
    assert len(dropped) in (swap, math.ceil(fraction * live - 1e-9))
    if dropped:
        assert max(magnitude[list(dropped)]) <= min(magnitude[list(kept)])


@given(tensors(), fractions, st.integers(0, 10))
def test_update_grows_highest_scores_among_free(drawn, fraction, more):
    state, scores = drawn
    assume(scores is not None and not scores.isnan().any())
    n, live = state.model.weight.numel(), state.masks.live("weight")
    before, after = update(state, scores, fraction, min(live + more, n))
    grown, ungrown = after - before, set(range(n)) - after
    if grown and ungrown:
        assert min(scores[list(grown)]) >= max(scores[list(ungrown)])


@given(tensors(), st.integers(1, 10))
def test_growing_alone_does_not_change_the_output(drawn, more):
    state, scores = drawn
    assume(not state.model.weight.isnan().any())
    n = state.model.weight.numel()
    x = torch.randn(3, n, generator=torch.Generator().manual_seed(0))
    output = state.model(x)
    before, after = update(state, scores, 0.0, min(state.masks.live("weight") + more, n))
    assert before <= after
    assert torch.equal(state.model(x), output)


@given(st.integers(2, 40), fractions, st.integers(0, 99), st.data())
def test_update_is_equivariant_to_permuting_and_negating_weights(n, fraction, seed, data):
    """The drop set follows a permutation of the weights and does not care for their signs."""
    live = data.draw(st.integers(1, n))
    rng = torch.Generator().manual_seed(seed)
    weights = torch.randperm(n, generator=rng).float() + 1
    scores = torch.randperm(n, generator=rng).float()
    order = torch.randperm(n, generator=rng)

    def live_after(weights, scores, live):
        model = nn.Linear(n, 1, bias=False)
        model.weight.data.copy_(weights)
        state = State(model, (1, 1, n), 0, 100)
        state.set_live_("weight", live)
        update(state, scores, fraction)
        return flat(state.masks["weight"]).clone()

    first = torch.arange(live)
    plain = live_after(weights, scores, first)
    signs = torch.where(torch.rand(n, generator=rng) < 0.5, -1.0, 1.0)
    assert torch.equal(live_after(weights * signs, scores, first), plain)
    place = torch.empty_like(order).scatter_(0, order, torch.arange(n))
    assert torch.equal(live_after(weights[order], scores[order], place[first]), plain[order])


def test_update_ties_depend_on_the_seed_alone(eight):
    def masks(seed):
        state = eight(live=range(4), seed=seed)
        return [update(state, None, 0.5)[1] for _ in range(10)]

    assert masks(1) == masks(1)
    assert masks(1) != masks(2)


def test_update_breaks_ties_among_all_free_weights(eight):
    """With dead gradients, every position that is not kept may grow, the dropped ones too."""
    grown = set()
    for seed in range(60):
        state = eight(FALLING, range(4), seed)
        _, after = update(state, torch.zeros(8), 0.25)
        assert {0, 1, 2} <= after and len(after) == 4
        grown |= after
    assert grown == set(range(8))


# --- on a network ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer", [SGD(0.1), Adam(0.01), TorchOptimizer("RMSprop", 0.01)], ids=["SGD", "Adam", "any"]
)
@pytest.mark.parametrize("gradient", ["real", "zero", "missing"])
def test_live_counts_hold_through_training(small_net, optimizer, gradient):
    """At 99.7 %, most layers have one weight or two, and with dead gradients nothing tells."""
    state = State(small_net(), (3, 8, 8), 0, 100)
    state.budget = ERK(0.996)
    state.budget.init_masks(state)
    counts = state.masks.counts()
    assert min(counts.values()) == 1 and max(counts.values()) <= 3
    state.optimizer = optimizer.build(state.model, state.masks)
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for _ in range(12):
        state.optimizer.zero_grad()
        if gradient != "missing":
            (state.model(x).square().sum() * (gradient == "real")).backward()
        state.optimizer.step(0.05)
        state.step += 1
        Scored(drop_fraction=1.0, update_interval=1).after_step(state)
        assert state.masks.counts() == counts
        for name, mask in state.masks.items():
            assert int(mask.sum()) == counts[name]
            assert not state.masks.parameters[name][~mask].any()


@pytest.mark.parametrize("fraction", [0.0, 0.3])
def test_live_counts_follow_changing_targets_exactly(small_net, fraction):
    """From 0.95 down to 0.85 and back, by the targets that a budget gives."""
    state = State(small_net(), (3, 8, 8), 0, 100)
    budget = ERK(0.95)
    budget.init_masks(state)
    for step in range(1, 21):
        sparsity = 0.85 + 0.1 * abs(step / 10 - 1)
        before = {name: set(state.masks.index(name).tolist()) for name in state.masks}
        Scored().update(state, fraction, budget.live_counts(state, sparsity))
        after = {name: set(state.masks.index(name).tolist()) for name in state.masks}
        assert state.masks.total() == live_total(sparsity, state.dense_numel)
        if fraction == 0:  # a phase only grows, or only prunes
            assert all(
                b <= after[name] if step <= 10 else after[name] <= b for name, b in before.items()
            )


def test_drop_grow_without_grow_score_cannot_be_built():
    """A method whose author forgot or misspelt it must not become SET in silence."""
    with pytest.raises(TypeError, match="grow_score"):
        DropGrow(updates_per_run=3)


# --- when -----------------------------------------------------------------------------------------


def test_check_refuses_a_run_without_updates():
    Scored(update_interval=99).check(100)
    with pytest.raises(UserError, match="would never update its masks") as error:
        Scored(update_interval=100).check(100)
    assert error.value.binding == "Scored.update_interval"
    assert "the run has 100 optimizer steps, and updates are due every 100" in error.value.message


@pytest.mark.parametrize(
    ("schedule", "percent"),
    [
        (lambda progress: 1.01 - progress, 0),
        (lambda progress: 0.985 - progress, 99),  # only its end is below 0
        (lambda progress: 1.2 if 0.495 < progress < 0.505 else 0.3, 50),
        (lambda progress: float("nan"), 0),
    ],
)
def test_check_refuses_a_schedule_that_leaves_zero_to_one(schedule, percent):
    part = Scored(drop_fraction=schedule, update_interval=1)
    with pytest.raises(UserError, match=rf"its schedule leaves it at {percent} %") as error:
        part.check(100)
    assert error.value.binding == "Scored.drop_fraction"


def test_check_accepts_schedules_between_zero_and_one():
    for schedule in (lambda progress: progress, lambda progress: 1 - progress):
        Scored(drop_fraction=schedule, update_interval=1).check(100)


def test_masks_do_not_move_on_the_last_step(eight):
    state = eight(live=range(4), total_steps=10)
    part = Scored(torch.arange(8.0), drop_fraction=0.5, update_interval=5)
    moved = []
    for _ in range(10):
        before = state.masks.index("weight").tolist()
        state.step += 1
        part.after_step(state)
        if state.masks.index("weight").tolist() != before:
            moved.append(state.step)
    assert moved == [5]


def test_drop_fraction_follows_its_schedule(eight):
    seen = []
    for step in (1, 50, 99):
        state = eight(FALLING, range(4))
        state.step = step
        schedule = lambda progress: 1 - progress  # noqa: E731
        part = Scored(torch.arange(8.0), drop_fraction=schedule, update_interval=1)
        part.after_step(state)
        seen.append(len({0, 1, 2, 3} - set(state.masks.index("weight").tolist())))
    assert seen == [3, 2, 1]


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting, value",
    [
        ("drop_fraction", -0.1),
        ("drop_fraction", 1.1),
        ("update_interval", 0),
        ("updates_per_run", 1),
        ("update_until", 0.0),
        ("update_until", 1.5),
    ],
)
def test_drop_grow_refuses_settings_out_of_range(setting, value):
    with pytest.raises(UserError) as error:
        Scored(**{setting: value})
    assert error.value.binding == f"Scored.{setting}"
    assert repr(value) in error.value.message


# --- tensors without a gradient -------------------------------------------------------------------


class Branches(nn.Module):
    """Four layers of 400 weights: one trained, one frozen, one unused, one skipped on request."""

    def __init__(self):
        super().__init__()
        self.trained, self.frozen, self.unused, self.skipped = (
            nn.Linear(20, 20, bias=False) for _ in range(4)
        )
        self.frozen.weight.requires_grad_(False)

    def forward(self, x, skip):
        x = self.frozen(self.trained(x))
        return x if skip else x + self.skipped(x)


def branched(skip):
    """Return the State of `Branches` after a step, half of each layer live."""
    torch.manual_seed(0)
    state = State(Branches(), (1, 1, 1), seed=0, total_steps=10)
    ERK(0.5).init_masks(state)
    state.model(torch.randn(8, 20), skip).square().sum().backward()
    return state


def moved(state, method, **arguments):
    before = {name: mask.clone() for name, mask in state.masks.items()}
    method.update(state, 0.5, **arguments)
    return {n.split(".")[0] for n, m in state.masks.items() if not torch.equal(m, before[n])}


class ByGradient(DropGrow):
    def grow_score(self, state, name):
        gradient = state.masks.parameters[name].grad
        return None if gradient is None else flat(gradient).abs()


@pytest.mark.parametrize("method", [ByGradient(updates_per_run=2), Scored()])
def test_update_keeps_masks_of_tensors_without_a_gradient(method):
    assert moved(branched(skip=True), method) == {"trained"}
    assert moved(branched(skip=False), method) == {"trained", "skipped"}


def test_update_leaves_weights_without_a_gradient_untouched():
    state = branched(skip=True)
    before = state.model.frozen.weight.clone()
    for _ in range(5):
        Scored().update(state, 0.5)
    assert torch.equal(state.model.frozen.weight, before)
    assert int(before.count_nonzero()) == state.masks.live("frozen.weight") == 200


def test_update_without_a_gradient_shrinks_to_its_target_and_does_not_grow():
    state = branched(skip=True)
    assert moved(state, Scored(), targets=dict.fromkeys(state.masks, 300)) == {"trained"}
    Scored().update(state, 0.5, dict.fromkeys(state.masks, 100))
    assert set(state.masks.counts().values()) == {100}


def test_update_after_a_step_of_live_gradients_moves_masks_with_a_gradient_only():
    model = nn.Sequential(nn.Linear(20, 20), nn.Linear(20, 20))
    state = State(model, (1, 1, 20), 0, 100)
    for name in ("0.weight", "1.weight"):
        state.set_live_(name, torch.arange(40))
    before = {name: state.masks.index(name) for name in state.masks}
    state.masks.live_gradients["0.weight"] = torch.ones(40)
    SET(update_interval=1).update(state, 0.5)
    assert not torch.equal(state.masks.index("0.weight"), before["0.weight"])
    assert torch.equal(state.masks.index("1.weight"), before["1.weight"])


# --- scores that are none -------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0])
def test_score_that_is_no_number_of_zero_or_more_is_refused(eight, wrong):
    state = eight(live=FOUR)
    scores = torch.tensor([*RISES[:-1], wrong])
    with pytest.raises(UserError, match=r"Scored\.grow_score returned .* for a weight of weight"):
        Scored(scores).update(state, 0.5)


def test_score_of_a_run_that_diverges_is_not_the_methods_fault(eight):
    state = eight(live=FOUR)
    state.model.weight.grad = torch.full_like(state.model.weight, math.nan)
    Scored(torch.full((8,), math.nan)).update(state, 0.5)
    assert state.masks.live("weight") == 4
