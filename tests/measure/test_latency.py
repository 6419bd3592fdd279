"""Interleaved latency measurement."""

import itertools
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

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


def test_latency_is_the_median_in_milliseconds():
    pauses = iter([0.0] * (WARM_UP + 1) + [0.001, 0.5, 0.1, 0.1, 0.1])
    form = Form("a", "", lambda x: time.sleep(next(pauses)))
    (latency,) = interleaved_latencies([form], torch.zeros(4, 1), 5)
    assert 100 <= latency.latency_ms < 400
    lower, upper = latency.quartiles_ms
    assert lower <= latency.latency_ms <= upper
    assert latency.images_per_s == pytest.approx(4 / (latency.latency_ms / 1000))


def test_latency_excludes_preparing_the_batch():
    form = Form("a", "", lambda x: None, prepare=lambda x: time.sleep(0.2))
    assert interleaved_latencies([form], torch.zeros(1, 1), 3)[0].latency_ms < 100
