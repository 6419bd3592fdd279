"""Interleaved latency measurement."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dstbench.measure import latency
from dstbench.measure.execution_forms import Form
from dstbench.measure.latency import BURST, MOST, WARM_UP, Turns


def timed(forms, x, repeats):
    turns = Turns(forms, x)
    turns.warm_up()
    turns.run(repeats)
    return turns.latencies()


@given(st.integers(1, 35), st.integers(1, 4))
def test_latency_forms_take_turns_with_equally_many_calls(repeats, count):
    calls = []
    forms = [Form(f"{i}", "", lambda x, i=i: calls.append(i)) for i in range(count)]
    latencies = timed(forms, torch.zeros(2, 1), repeats)
    assert [(t.form, t.calls) for t in latencies] == [(form.name, repeats) for form in forms]
    turns = -(-repeats // BURST)
    for i in range(count):
        assert calls.count(i) == WARM_UP + repeats + turns
    changes = sum(a != b for a, b in itertools.pairwise(calls))
    assert changes == (0 if count == 1 else count * (1 + turns) - 1)


@pytest.fixture
def sleep(monkeypatch):
    """Return a function that advances the clock of the measurement; only it does."""
    now = [0.0]

    def advance(seconds):
        now[0] += seconds

    monkeypatch.setattr(latency, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    return advance


def test_latency_is_the_median_in_milliseconds(sleep):
    pauses = iter([0.0] * (WARM_UP + 1) + [0.001, 0.5, 0.2, 0.1, 0.05])
    form = Form("a", "", lambda x: sleep(next(pauses)))
    (found,) = timed([form], torch.zeros(4, 1), 5)
    assert found.latency_ms == pytest.approx(100)
    assert found.quartiles_ms == pytest.approx((50, 200))
    assert found.images_per_s == pytest.approx(40)


def test_latency_excludes_preparing_the_batch(sleep):
    form = Form("a", "", lambda x: sleep(0.1), prepare=lambda x: sleep(5))
    (found,) = timed([form], torch.zeros(1, 1), 3)
    assert found.latency_ms == pytest.approx(100)


def test_long_calls_are_warmed_up_once_and_all_others_are_timed(sleep):
    calls = []
    form = Form("a", "", lambda x: (calls.append(x), sleep(2.0)))
    timed([form], torch.zeros(1, 1), 4)
    assert len(calls) == 1 + 4


@pytest.mark.parametrize("call, seconds, expected", [(0.1, 3.3, 30), (2.0, 9.0, 4), (2.0, 1.0, 1)])
def test_number_of_calls_follows_the_time(sleep, call, seconds, expected):
    turns = Turns([Form("a", "", lambda x: sleep(call))], torch.zeros(1, 1))
    turns.warm_up()
    assert turns.calls_within(seconds * (1 + 1e-9)) == expected
    assert turns.calls_within(1e6) == MOST


def test_calls_end_after_a_round_when_the_time_is_over(sleep):
    turns = Turns([Form(f"{i}", "", lambda x: sleep(2.0)) for i in range(2)], torch.zeros(1, 1))
    turns.warm_up()
    assert turns.latencies() == []
    rounds = iter([True, False])
    turns.run(50, lambda: next(rounds))
    assert [t.calls for t in turns.latencies()] == [2, 2]
