"""UpdateSchedule: the steps after which masks are updated."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstbench.core.update_schedule import UpdateSchedule
from dstbench.errors import UserError


class Owner:
    """Names the parameters in messages."""


def schedule(interval=None, per_run=None, until=1.0):
    return UpdateSchedule(Owner(), interval, per_run, until)


def due_steps(updates, total):
    return [step for step in range(1, total + 1) if updates.is_due(step, total)]


@given(st.integers(1, 300), st.integers(1, 300), st.floats(0.01, 1))
def test_interval_updates_are_its_multiples_before_until(total, interval, until):
    updates = schedule(interval, until=until)
    due = due_steps(updates, total)
    multiples = list(range(interval, total, interval))
    assert due == multiples[: len(due)] == list(updates.steps(total))
    assert all(s <= until * total + 1e-9 for s in due)
    assert all(s >= until * total - 1e-9 for s in multiples[len(due) :])


@pytest.mark.parametrize("step, total", [(29, 100), (7, 10), (57, 100)])
def test_until_includes_its_own_step(step, total):
    """0.29 · 100 is 29, but 28.999999999999996 in floating point."""
    assert schedule(step, until=step / total).is_due(step, total)


def test_per_run_gives_itops_updates():
    """At batch 128, 250 epochs are 88,000 steps; RigL's 22nd update would be after the last."""
    assert due_steps(schedule(per_run=22), 88_000) == list(range(4000, 88_000, 4000))
    assert len(due_steps(schedule(per_run=58), 88_000)) in (57, 58)


@given(st.integers(2, 60), st.data())
def test_per_run_updates_are_evenly_spaced(per_run, data):
    total = data.draw(st.integers(per_run, 10 * per_run))
    due = [0, *due_steps(schedule(per_run=per_run), total), total]
    gaps = [late - early for early, late in pairwise(due)]
    assert max(gaps) - min(gaps) <= 1


@given(st.integers(2, 60), st.data())
def test_per_run_holds_in_runs_of_any_length(per_run, data):
    """The update after the last step is omitted."""
    total = data.draw(st.integers(per_run, 10 * per_run))
    assert per_run - 1 <= len(due_steps(schedule(per_run=per_run), total)) <= per_run


@given(st.integers(1, 40), st.integers(2, 60))
def test_steps_are_the_due_steps(total, per_run):
    """Also where there are more updates than steps."""
    updates = schedule(per_run=per_run)
    assert list(updates.steps(total)) == due_steps(updates, total)
    assert total not in updates.steps(total)


def test_next_update_is_later_than_after():
    updates = schedule(10, until=0.5)
    assert [updates.next_update(after, 100) for after in (0, 9, 10, 49, 50)] == [
        10, 10, 20, 50, None,
    ]  # fmt: skip


def test_str_describes_the_schedule():
    assert str(schedule(10)) == "every 10 optimizer steps"
    assert str(schedule(per_run=22)) == "22 times"


@pytest.mark.parametrize(
    "given, parameter",
    [
        ({"interval": 0}, "update_interval"),
        ({"per_run": 1}, "updates_per_run"),
        ({"interval": 1, "until": 0.0}, "update_until"),
        ({"interval": 1, "until": 1.5}, "update_until"),
    ],
)
def test_values_out_of_range_are_refused(given, parameter):
    with pytest.raises(UserError) as error:
        schedule(**given)
    assert error.value.binding == f"Owner.{parameter}"


def test_missing_interval_is_refused():
    with pytest.raises(UserError, match=r"set Owner\.updates_per_run or Owner\.update_interval"):
        schedule()
