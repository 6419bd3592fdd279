"""When checkpoints are due."""

import pytest

from dstbench.training import checkpoint_policy
from dstbench.training.checkpoint_policy import CheckpointPolicy


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(checkpoint_policy.time, "monotonic", lambda: now[0])
    return now


def test_checkpoint_is_due_after_the_interval(clock):
    policy = CheckpointPolicy(60)
    clock[0] = 59
    assert not policy.due()
    clock[0] = 60
    assert policy.due()
    with policy.timed_save():
        clock[0] = 61
    clock[0] = 120
    assert not policy.due()
    clock[0] = 121
    assert policy.due()


def test_slow_saves_take_at_most_2_percent_of_the_time(clock):
    policy = CheckpointPolicy(60)
    with policy.timed_save():
        clock[0] = 10
    clock[0] = 10 + 499
    assert not policy.due()
    clock[0] = 10 + 500
    assert policy.due()
