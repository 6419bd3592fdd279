"""AC/DC: its phases, and what happens between them."""

import pytest
from helpers.tiny_runs import go, resumed, started, through_a_file, tiny_resnet

from dstbench.core.budgets import Uniform
from dstbench.core.layer_densities import LayerDensities
from dstbench.core.masks import flat
from dstbench.errors import UserError
from dstbench.methods.acdc import ACDC
from dstbench.methods.global_magnitude import GlobalMagnitude
from dstbench.optim.settings import SGD
from dstbench.sparsity import live_total

ENDS = {"first": 1.0, "last": 1.0}


def acdc(of=None, **settings):
    return ACDC(0.9, of or GlobalMagnitude(), **settings)


@pytest.mark.parametrize(
    "settings, epochs, compressed, dense",
    [
        # the published configurations: CIFAR, ImageNet, and ImageNet for twice as long
        ((5, 0.05, 0.1, 0.15), 200, [10, 50, 90, 130, 170], [30, 70, 110, 150]),
        ((8, 0.1, 0.1, 0.15), 100, [*range(10, 80, 10), 85], [*range(15, 70, 10), 75]),
        ((18, 0.05, 0.05, 0.075), 200, [*range(10, 180, 10), 185], [*range(15, 170, 10), 175]),
    ],
)
def test_phases_are_those_of_the_published_configurations(settings, epochs, compressed, dense):
    part = acdc(None, **dict(zip(NAMES, settings, strict=True)))
    switches = part.switches(7 * epochs)
    assert switches[::2] == [7 * epoch for epoch in compressed]
    assert switches[1::2] == [7 * epoch for epoch in dense]
    assert part.final_structure_step(7 * epochs) == 7 * compressed[-1]


NAMES = ("compressed_phases", "warmup", "last_dense", "last_compressed")


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"compressed_phases": 1}, "ACDC.compressed_phases"),
        ({"warmup": 0.0}, "ACDC.warmup"),
        ({"last_dense": 1.0}, "ACDC.last_dense"),
        ({"last_compressed": 0.85}, "leaves nothing for the others"),
        ({"of": Uniform(0.5)}, "Uniform.sparsity = 0.5"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        acdc(**settings)


def test_run_with_a_phase_of_no_step_is_refused():
    with pytest.raises(UserError, match="10 phases, and in a run of 8 optimizer steps"):
        acdc().check(8)
    acdc().check(40)


@pytest.mark.parametrize("of", [None, LayerDensities(Uniform(0.9), ENDS)])
def test_live_weights_are_all_in_dense_phases_and_exact_in_compressed_ones(of):
    method, state = started(tiny_resnet(), [acdc(of)], 40)
    every, few = state.dense_numel, live_total(0.9, state.dense_numel)
    totals = [state.masks.total()]
    go(method, state, each=lambda s: totals.append(s.masks.total()))
    # compressed from steps 2, 10, 18, 26 and 34 on, dense from 6, 14, 22 and 30 on
    expected = [every] * 2
    for _ in range(4):
        expected += [few] * 4 + [every] * 4
    assert totals == [*expected, *[few] * 7]


def test_compressed_phase_keeps_the_largest_weights_and_its_masks():
    method, state = started(tiny_resnet(), [acdc()], 40)
    go(method, state, until=2)
    live = {name: state.masks[name].clone() for name in state.masks}
    kept = min(flat(w).abs()[flat(live[n])].min() for n, w in state.masks.parameters.items())
    go(method, state, until=5)
    assert all((state.masks[name] == live[name]).all() for name in live) and kept > 0


def test_returning_weights_start_at_zero_and_the_optimizer_is_new():
    settings = SGD(0.05)
    method, state = started(tiny_resnet(), [acdc()], 40, optimizer=settings)
    seen = []

    def each(state):
        if state.step == 6:
            seen.extend(flat(w).clone() for w in state.masks.parameters.values())
            momenta = state.optimizer.state_dict()
            assert not any(v.any() for v in momenta["slots"]["momentum"].values())
            rest = momenta["rest"]["state"].values()
            assert not any(kept["momentum_buffer"].any() for kept in rest)

    go(method, state, until=6, each=each)
    zeros = sum(int((values == 0).sum()) for values in seen)
    assert zeros == state.dense_numel - live_total(0.9, state.dense_numel)
    go(method, state, until=7)
    assert all((w != 0).any() for w in state.masks.parameters.values())


@pytest.mark.parametrize("at", [1, 12, 25])
def test_resumed_run_is_the_same(at):
    method, state = started(tiny_resnet(), [acdc()], 40)
    saved = []
    go(method, state, each=lambda s: saved.append(through_a_file(s)) if s.step == at else None)
    again, other = resumed(tiny_resnet(seed=3), [acdc()], saved[0], 40)
    go(again, other)
    for name, value in state.model.state_dict().items():
        assert (value == other.model.state_dict()[name]).all()


def test_no_step_reads_gradients_of_dead_weights():
    assert not any(acdc().requires_dense_gradients(step, 40) for step in range(1, 41))
