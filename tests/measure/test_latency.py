"""Interleaved latency measurement."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dstbench.measure import latency
from dstbench.measure.execution_forms import Form
from dstbench.measure.latency import BURST, WARM_UP, interleaved_latencies


@given(st.integers(1, 35), st.integers(1, 4))
def test_latency_forms_take_turns_with_equally_many_calls(repeats, count):
    calls = []
    forms = [Form(f"{i}", "", lambda x, i=i: calls.append(i)) for i in range(count)]
    latencies = interleaved_latencies(forms, torch.zeros(2, 1), repeats)
    assert [t.form for t in latencies] == [form.name for form in forms]
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
    (found,) = interleaved_latencies([form], torch.zeros(4, 1), 5)
    assert found.latency_ms == pytest.approx(100)
    assert found.quartiles_ms == pytest.approx((50, 200))
    assert found.images_per_s == pytest.approx(40)


def test_latency_excludes_preparing_the_batch(sleep):
    form = Form("a", "", lambda x: sleep(0.1), prepare=lambda x: sleep(5))
    (found,) = interleaved_latencies([form], torch.zeros(1, 1), 3)
    assert found.latency_ms == pytest.approx(100)
