"""A killed run resumes bit for bit: real processes, real signals."""

import json
import random
import signal
import time

import pytest
from helpers import killing

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was never stopped: (its outcome, the seconds it took)."""
    runs = tmp_path_factory.mktemp("whole") / "runs"
    began = time.monotonic()
    killing.finish(runs)
    return killing.outcome(runs), time.monotonic() - began


def test_run_of_the_native_engine_killed_at_random_moments_resumes_bit_for_bit(tmp_path):
    native = ("--engine", "native")
    killing.finish(tmp_path / "first", *native)  # compiles
    began = time.monotonic()
    killing.finish(tmp_path / "whole", *native)
    seconds = time.monotonic() - began
    chance = random.Random()
    moments = [chance.uniform(0.4, 1.1) * seconds for _ in range(2)]
    for moment in moments:
        killing.kill_once(tmp_path / "killed", moment, *native)
    killing.finish(tmp_path / "killed", *native)
    expected, found = (killing.outcome(tmp_path / name) for name in ("whole", "killed"))
    assert killing.same(expected, found), f"killed after {moments} s"


def test_run_killed_at_random_moments_resumes_bit_for_bit(tmp_path, whole):
    expected, seconds = whole
    chance = random.Random()
    moments = [chance.uniform(0.4, 1.1) * seconds for _ in range(3)]
    for moment in moments:
        killing.kill_once(tmp_path, moment)
    killing.finish(tmp_path)
    assert killing.same(expected, killing.outcome(tmp_path)), f"killed after {moments} s"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_saves_and_the_run_resumes_bit_for_bit(tmp_path, whole, number):
    expected, _ = whole
    process = killing.start(tmp_path)
    process.wait_for("  loss ")
    process.send_signal(number)
    assert process.wait() == 128 + number
    assert "everything is saved" in process.errors and "Traceback" not in process.errors
    (record,) = tmp_path.glob("*/record.json")
    assert json.loads(record.read_text())["status"] == "interrupted"
    killing.finish(tmp_path)
    assert killing.same(expected, killing.outcome(tmp_path))
    assert json.loads(record.read_text())["provenance"]["sessions"] == 2


def test_second_process_on_a_run_is_refused(tmp_path):
    first = killing.start(tmp_path)
    first.wait_for("  loss ")
    first.send_signal(signal.SIGSTOP)  # so it cannot end before the second has started
    second = killing.start(tmp_path)
    assert second.wait() == 2 and f"pid {first.pid}" in second.errors
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL


def test_finished_run_keeps_no_checkpoints(tmp_path):
    killing.finish(tmp_path)
    (folder,) = tmp_path.iterdir()
    assert not list(folder.glob("checkpoint*"))
    assert (folder / "network.pt").exists() and (folder / "best.pt").exists()
    again = killing.finish(tmp_path)
    assert "done already" in again.errors and "test accuracy" in again.output
