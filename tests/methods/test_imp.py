"""IMP: its trainings, prunings and rewinding."""

import copy
from itertools import pairwise

import pytest
import torch
from helpers.tiny_runs import go, resumed, started, through_a_file, tiny_resnet
from hypothesis import given
from hypothesis import strategies as st

from dstbench.core.budgets import ERK, Uniform
from dstbench.core.schedules import MultiStep
from dstbench.errors import UserError
from dstbench.methods.global_magnitude import GlobalMagnitude
from dstbench.methods.imp import IMP
from dstbench.methods.weight_sharing import WeightSharing
from dstbench.optim.settings import SGD, Adam, TorchOptimizer
from dstbench.sparsity import live_total


def imp(sparsity=0.9, of=None, rounds=2, rewind=0.25):
    """Of 40 steps: trainings of 16 and of 12 steps, rewound to step 4."""
    return IMP(sparsity, of or GlobalMagnitude(), rounds, rewind)


def values(state):
    return {name: tensor.clone() for name, tensor in state.model.state_dict().items()}


def test_trainings_end_and_rewind_where_the_schedule_does():
    part = imp()
    assert part.ends(40) == [16, 28, 40] and part.rewind_step(40) == 4
    assert part.final_structure_step(40) == 28
    schedule = part.lr_schedule(MultiStep([0.5]))  # of 16 steps: 0.1 from the eighth on
    rates = [schedule(step / 40) for step in range(40)]
    assert rates == [*[1] * 8, *[0.1] * 8, *[*[1] * 4, *[0.1] * 8] * 2]


@given(st.integers(1, 12), st.integers(0, 30), st.integers(100, 4000))
def test_trainings_are_alike_in_length(rounds, hundredths, total):
    part = imp(rounds=rounds, rewind=hundredths / 100)
    part.check(total)
    ends = part.ends(total)
    first, again = ends[0] - part.rewind_step(total), [b - a for a, b in pairwise(ends)]
    assert len(ends) == rounds + 1 and ends[-1] == total
    assert all(abs(length - first) <= 1 for length in again)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"sparsity": 1.0}, "IMP.sparsity"),
        ({"rounds": 0}, "IMP.rounds"),
        ({"rewind": 1.0}, "IMP.rewind"),
        ({"of": Uniform(0.8)}, "Uniform.sparsity = 0.8"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        imp(**settings)


def test_run_with_a_training_of_no_step_is_refused():
    with pytest.raises(UserError, match="trains 11 times, and in a run of 8 optimizer steps"):
        imp(rounds=10).check(8)


@pytest.mark.parametrize("of", [GlobalMagnitude, lambda: ERK(0.9)])
@pytest.mark.parametrize("shared", [False, True])
def test_each_pruning_removes_the_same_fraction(of, shared):
    before = [WeightSharing(2)] if shared else []
    method, state = started(tiny_resnet(depths=(1, 4)), [*before, imp(of=of(), rounds=3)], 40)
    stored, few = state.masks.total(), live_total(0.9, state.dense_numel)
    totals = []
    go(method, state, each=lambda s: totals.append(s.masks.total()))
    found = sorted(set(totals), reverse=True)
    fraction = (few / stored) ** (1 / 3)
    assert found == pytest.approx([stored * fraction**i for i in range(4)], abs=1)
    assert found[0] == stored and found[-1] == few == totals[-1]


@pytest.mark.parametrize("rewind", [0.0, 0.25])
@pytest.mark.parametrize("optimizer", [SGD(0.05), Adam(0.01), TorchOptimizer("AdamW", 0.01)])
def test_rewound_network_is_the_early_one_on_the_masks_of_the_trained_one(rewind, optimizer):
    part = imp(rewind=rewind)
    method, state = started(tiny_resnet(), [part], 40, optimizer=optimizer)
    early, trained = values(state), {}
    end = part.ends(40)[0]

    def each(state):
        nonlocal early
        if state.step == part.rewind_step(40):
            early = values(state)

    class Spy:
        def __init__(self, of):
            self.of = of

        def live_counts(self, state, sparsity):
            trained.update(values(state))
            return self.of.live_counts(state, sparsity)

    part.of = Spy(part.of)
    go(method, state, until=end, each=each)
    masks = {name: state.masks[name] for name in state.masks}
    for name, value in values(state).items():
        expected = early[name] * masks[name] if name in masks else early[name]
        assert torch.equal(value, expected), name
    kept = min(trained[n].abs()[m].min() for n, m in masks.items() if m.any())
    assert all(trained[n].abs()[~m].max() <= kept for n, m in masks.items() if not m.all())


def test_next_training_is_that_of_a_new_run_on_the_rewound_network():
    """Same batches from there on, same rate; the optimizer has no memory of the first training."""
    part = imp(rounds=1, rewind=0.25)
    method, state = started(tiny_resnet(), [part], 40)
    end = part.ends(40)[0]
    go(method, state, until=end)
    other = copy.deepcopy(state)
    other.optimizer = SGD(0.05).build(other.model, other.masks)
    go(method, state)
    go(method, other)
    for name, value in values(state).items():
        assert torch.equal(value, values(other)[name]), name


def test_memory_of_early_weights_is_freed_after_the_last_rewinding():
    method, state = started(tiny_resnet(), [imp()], 40)
    kept = []
    go(method, state, each=lambda s: kept.append(any("rewound/" in n for n in s.memory)))
    assert kept == [*[False] * 3, *[True] * 24, *[False] * 13]


@pytest.mark.parametrize("at", [2, 10, 20, 35])
def test_resumed_run_is_the_same(at):
    method, state = started(tiny_resnet(), [imp()], 40)
    saved = []
    go(method, state, each=lambda s: saved.append(through_a_file(s)) if s.step == at else None)
    again, other = resumed(tiny_resnet(seed=3), [imp()], saved[0], 40)
    go(again, other)
    for name, value in values(state).items():
        assert torch.equal(value, values(other)[name]), name


def test_steps_before_rewinding_go_through_torch_and_cost_no_dense_gradients():
    """An engine keeps batch norm's averages to itself between its own steps."""
    part = imp()
    assert [s for s in range(1, 41) if part.requires_dense_gradients(s, 40)] == [4, 16, 28]
    assert not any(part.needs_dense_gradients(step, 40) for step in range(1, 41))
