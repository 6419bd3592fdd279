"""Batch sizes within a budget: what fits is timed, what does not is named."""

import pytest
import torch

from dstbench.measure.budget import Budget
from dstbench.measure.execution_forms import Form
from dstbench.measure.time_batches import INTERRUPTED, time_batches

EXAMPLES = [torch.zeros(batch, 1) for batch in (1, 2, 64)]


def timed(network, budget):
    latencies, not_timed = time_batches([Form("a", "", network)], EXAMPLES, budget)
    calls = {t.batch: t.calls for t in latencies}
    assert len(calls) == len(latencies)  # each batch size once
    return calls, not_timed


def test_given_number_of_calls_is_made_whatever_the_time():
    calls, not_timed = timed(lambda x: x, Budget(1e-9, repeats=4))
    assert calls == {1: 4, 2: 4, 64: 4} and not_timed == {}


def test_calls_follow_the_time_of_all_batch_sizes():
    calls, not_timed = timed(lambda x: x, Budget(60))
    assert calls == {1: 100, 2: 100, 64: 100} and not_timed == {}


def test_smallest_batch_is_timed_though_the_time_is_over_and_others_are_named():
    calls, not_timed = timed(lambda x: x, Budget(1e-9))
    assert calls == {1: 1} and list(not_timed) == ["2", "64"]  # the time is over after the first
    assert "--seconds 1e-09" in not_timed["64"] and "allows more" in not_timed["64"]


def test_interruption_keeps_what_was_timed():
    seen = []

    def network(x):
        seen.append(len(x))
        if seen.count(2) == 20:  # warm-up, then the second turn
            raise KeyboardInterrupt

    calls, not_timed = timed(network, Budget(repeats=30))
    assert calls == {1: 30, 2: 14} and not_timed == {"64": INTERRUPTED}


def test_interruption_between_two_batch_sizes_keeps_each_once():
    def prepare(x):
        if len(x) == 2:
            raise KeyboardInterrupt
        return x

    form = Form("a", "", lambda x: x, prepare=prepare)
    latencies, not_timed = time_batches([form], EXAMPLES, Budget(repeats=3))
    assert [(t.batch, t.calls) for t in latencies] == [(1, 3)]
    assert not_timed == {"2": INTERRUPTED, "64": INTERRUPTED}


def test_interruption_before_anything_was_timed_is_passed_on():
    def network(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        timed(network, Budget())


def test_larger_batch_is_not_begun_where_even_the_smaller_one_would_not_fit(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("dstbench.measure.budget.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("dstbench.measure.latency.time.perf_counter", lambda: clock[0])
    begun = []

    def network(x):
        begun.append(len(x))
        clock[0] += 4.0  # long, so once untimed and once timed at least

    calls, not_timed = timed(network, Budget(23.0))
    assert calls == {1: 1, 2: 1} and set(not_timed) == {"64"}  # 7 s are left, and 8 s needed
    assert 64 not in begun


def test_time_counts_from_the_given_start(monkeypatch):
    monkeypatch.setattr("dstbench.measure.budget.time.monotonic", lambda: 100.0)
    assert Budget(60.0, start=90.0).left() == 50.0
    assert Budget(60.0).left() == 60.0
