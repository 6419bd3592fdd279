"""Slurm's queue, with small programs in place of squeue and scancel."""

import time

import pytest
from helpers.waiting import wait_for

from dstbench.sweeps.launchers import slurm_queue
from dstbench.sweeps.launchers.slurm_queue import SlurmQueue


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return a function that puts a shell program on the path; it replaces an earlier one."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(slurm_queue, "_ASK_S", 0.0)

    def write(name, code):
        path = tmp_path / "bin" / f"{name}.new"
        path.write_text(f"#!/bin/sh\n{code}\n")
        path.chmod(0o755)
        path.rename(tmp_path / "bin" / name)

    return write


def test_jobs_are_read_with_their_state(program):
    program("squeue", "echo '7|RUNNING|/r/.slurm/a.sh|run|1'; echo '8|PREEMPTED|/r/b.sh|two'")
    found = SlurmQueue().jobs()
    assert found["7"].name == "run|1" and found["7"].script.name == "a.sh"
    assert found["7"].live and not found["7"].taken_away
    assert found["8"].taken_away and not found["8"].live


def test_foreign_job_with_a_name_of_two_lines_is_no_harm(program):
    program("squeue", "echo '6|RUNNING|/a.sh|one'; echo 'more|of it'; echo '7|RUNNING|/b.sh|two'")
    assert list(SlurmQueue().jobs()) == ["6", "7"]


def test_queue_whose_program_is_gone_is_not_known(program, tmp_path):
    program("squeue", "echo '7|RUNNING|/a.sh|one'")
    queue = SlurmQueue()
    assert queue.jobs()
    (tmp_path / "bin" / "squeue").unlink()
    assert wait_for(lambda: queue.jobs() is None)


@pytest.mark.parametrize("state", ["PENDING", "COMPLETING", "REQUEUED", "SUSPENDED"])
def test_job_that_may_go_on_is_live(program, state):
    program("squeue", f"echo '7|{state}|/r/a.sh|one'")
    assert SlurmQueue().jobs()["7"].live


@pytest.mark.parametrize("state", ["FAILED", "OUT_OF_MEMORY", "COMPLETED"])
def test_job_that_ended_by_itself_was_not_taken_away(program, state):
    program("squeue", f"echo '7|{state}|/r/a.sh|one'")
    job = SlurmQueue().jobs()["7"]
    assert not job.live and not job.taken_away


def test_queue_without_an_answer_is_none_until_there_is_one(program):
    queue = SlurmQueue()
    assert queue.jobs() is None  # there is no squeue
    program("squeue", "echo '7|RUNNING|/r/a.sh|one'; exit 1")
    for _ in range(20):
        assert queue.jobs() is None
        time.sleep(0.01)
    program("squeue", "echo '7|RUNNING|/r/a.sh|one'")
    assert "7" in wait_for(queue.jobs)


def test_slow_controller_delays_nobody_after_the_first_answer(program, monkeypatch):
    program("squeue", "echo '7|RUNNING|/r/a.sh|one'")
    queue = SlurmQueue()
    assert "7" in queue.jobs()
    program("squeue", "exec /bin/sleep 30")
    monkeypatch.setattr(slurm_queue, "_TIMEOUT_S", 0.5)
    began = time.monotonic()
    assert "7" in queue.jobs() and time.monotonic() < began + 0.4  # the last answer
    wait_for(lambda: queue.jobs() is None)  # the question was given up


def test_cancel_names_all_jobs_in_few_commands(program, tmp_path, monkeypatch):
    monkeypatch.setattr(slurm_queue, "_AT_ONCE", 4)
    program("scancel", f"echo $@ >> {tmp_path}/said")
    assert SlurmQueue().cancel([str(i) for i in range(10)])
    assert (tmp_path / "said").read_text().splitlines() == ["0 1 2 3", "4 5 6 7", "8 9"]
    program("scancel", "exit 1")
    assert not SlurmQueue().cancel(["1"])
