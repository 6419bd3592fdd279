"""Schedules: values at their ends, milestones and in between."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstbench.core.schedules import (
    Cosine,
    MultiStep,
    Piecewise,
    Repeated,
    WarmupCosine,
    value_at,
)
from dstbench.errors import UserError

progress = st.floats(0, 1)


def test_value_at_of_a_number_is_constant():
    assert value_at(0.3, 0.7) == 0.3
    assert value_at(lambda p: 2 * p, 0.7) == 1.4


def test_cosine_starts_and_ends_exactly():
    fall = Cosine(0.5, 0.005)  # ITOP's drop fraction
    assert fall(0.0) == 0.5 and fall(1.0) == 0.005
    assert fall(0.5) == pytest.approx(0.2525)
    assert fall(0.25) == pytest.approx(0.005 + 0.495 * 0.5 * (1 + math.sqrt(0.5)))
    assert Cosine(1.0)(1.0) == 0.0


@given(st.floats(0, 1), st.floats(0, 1), progress, progress)
def test_cosine_is_monotone_and_stays_between_its_ends(start, end, one, other):
    cosine = Cosine(start, end)
    early, late = cosine(min(one, other)), cosine(max(one, other))
    assert min(start, end) - 1e-12 <= early <= max(start, end) + 1e-12
    assert (late - early) * (end - start) >= -1e-12


@pytest.mark.parametrize("epoch, factor", [(0, 1), (124, 1), (125, 0.1), (187, 0.1), (249, 0.01)])
def test_multistep_decays_when_a_milestone_is_reached(epoch, factor):
    assert MultiStep((0.5, 0.75))(epoch / 250) == pytest.approx(factor)


@given(st.integers(1, 400), st.data())
def test_multistep_decays_at_the_step_of_its_milestone(steps, data):
    milestone = data.draw(st.integers(1, steps))
    schedule = MultiStep([milestone / steps], 0.5)
    assert schedule((milestone - 1) / steps) == 1 and schedule(milestone / steps) == 0.5


@pytest.mark.parametrize("milestones", [(0.0,), (125, 187), (-0.5, 0.5)])
def test_multistep_refuses_milestones_out_of_range(milestones):
    with pytest.raises(UserError, match=r"MultiStep\.milestones .*fractions of the run"):
        MultiStep(milestones)


def test_warmup_cosine_rises_then_falls():
    schedule = WarmupCosine(0.1, 0.01)
    assert schedule(0.0) == 0 and schedule(0.05) == pytest.approx(0.5)
    assert schedule(0.1) == 1 and schedule(1.0) == pytest.approx(0.01)
    assert schedule(0.55) == pytest.approx(0.505)
    assert WarmupCosine(0.0)(0.0) == 1


@pytest.mark.parametrize("warmup", [1.0, -0.1, 5])
def test_warmup_cosine_refuses_warmup_out_of_range(warmup):
    with pytest.raises(UserError, match=r"WarmupCosine\.warmup"):
        WarmupCosine(warmup)


def test_piecewise_holds_each_value_from_its_milestone():
    schedule = Piecewise([0.2, 0.1, 0.0], [0.5, 0.75])
    assert [schedule(p) for p in (0, 0.49, 0.5, 0.74, 0.75, 1)] == [0.2, 0.2, 0.1, 0.1, 0.0, 0.0]
    assert Piecewise([3], [])(0.5) == 3


@pytest.mark.parametrize(
    "values, milestones, message",
    [
        ([1], [0.5], "Piecewise.values"),
        ([1, 2, 3], [0.5, 0.5], "Piecewise.milestones"),
        ([1, 2], [0], "Piecewise.milestones"),
        ([1, 2], [1.5], "Piecewise.milestones"),
    ],
)
def test_piecewise_refuses_settings_out_of_range(values, milestones, message):
    with pytest.raises(UserError, match=message):
        Piecewise(values, milestones)


def test_repeated_runs_a_schedule_several_times():
    schedule = Repeated(lambda p: p, 4)
    assert schedule.length == 4 and schedule.ends() == [0.25, 0.5, 0.75, 1.0]
    found = [schedule(step / 16) for step in range(17)]
    assert found == pytest.approx([*[0, 0.25, 0.5, 0.75] * 4, 1.0])


def test_repetitions_begin_later_than_the_first():
    """One whole schedule of four steps, and two that begin at its second: ten steps."""
    schedule = Repeated(lambda p: p, 3, start=0.25)
    assert schedule.length == 2.5 and schedule.ends() == pytest.approx([0.4, 0.7, 1.0])
    found = [schedule(step / 10) for step in range(11)]
    expected = [0, 0.25, 0.5, 0.75, 0.25, 0.5, 0.75, 0.25, 0.5, 0.75, 1.0]
    assert found == pytest.approx(expected, abs=1e-5)


@given(st.integers(1, 30), st.integers(2, 50), st.integers(0, 9))
def test_each_repetition_has_the_values_of_the_schedule(times, steps, tenths):
    """Even where the ends of repetitions, as fractions of the run, are not exact numbers."""
    start = tenths * steps // 10
    total = steps + (times - 1) * (steps - start)
    schedule = Repeated(lambda p: p, times, start / steps)
    found = [schedule(step / total) * steps for step in range(total)]
    again = list(range(start, steps))
    assert found == pytest.approx([*range(steps), *again * (times - 1)], abs=1e-3)


def test_repeated_once_is_the_schedule_itself():
    once = Repeated(Cosine(0.5, 0.1), 1, 0.3)
    assert [once(p / 7) for p in range(8)] == pytest.approx(
        [Cosine(0.5, 0.1)(p / 7) for p in range(8)], abs=1e-5
    )


@pytest.mark.parametrize("times, start", [(0, 0.0), (2, 1.0), (2, -0.1)])
def test_repeated_refuses_settings_out_of_range(times, start):
    with pytest.raises(UserError, match=r"Repeated\.(times|start)"):
        Repeated(Cosine(1.0), times, start)
