"""The Slurm launcher on a real Slurm; with accounting or without."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from helpers.waiting import wait_for

from dstbench.sweeps.launchers import base, slurm
from dstbench.sweeps.launchers.base import LaunchOptions, NotStarted, Task

pytest.importorskip("submitit", reason="needs submitit: pip install 'dstbench[slurm]'")


def _answers() -> bool:
    if shutil.which("sinfo") is None:
        return False
    return subprocess.run(["sinfo"], capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not _answers(), reason="needs a Slurm that answers sinfo"),
]

RUN = (
    *("run", "set", "--recipe", "digits", "--sparsity", "0.8", "--set", "ResNet20.width=4"),
    *("--set", "Run.epochs=200", "--device", "cpu", "--tracking", "off"),
)


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Return a function that opens the launcher; its jobs are cancelled at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(slurm, "_RESULT_S", 1.0)
    launchers = []

    def open_(**options):
        wanted = LaunchOptions(1, None, "cpu", tmp_path / "runs", options)
        launchers.append(base.open_launcher("slurm", wanted))
        return launchers[-1]

    yield open_
    for launcher in launchers:
        launcher.stop()


def started(launcher, tmp_path, name="one"):
    """Start a run, and return its task when it trains."""
    log = tmp_path / f"{name}.txt"
    one = Task(name, (*RUN, "--runs", "runs", *launcher.arguments), log, {"GREETING": "hello"})
    launcher.start(one)
    wait_for(lambda: log.exists() and "  loss " in log.read_text())
    return one


def test_refused_job_says_why(opened, tmp_path):
    with pytest.raises(NotStarted, match=r"[Ii]nvalid partition"):
        opened(slurm_partition="no-such").start(Task("one", RUN, tmp_path / "log.txt"))


def test_job_has_its_runs_name_and_environment_and_is_known_to_another_sweep(opened, tmp_path):
    launcher, name = opened(), f"run-{os.getpid()}"
    started(launcher, tmp_path, name)
    assert opened().started_before() == {name} and not launcher.started_before()
    (job, _), *_ = launcher.jobs
    (lock,) = tmp_path.glob("runs/*/lock")
    pid = lock.read_text().split()[0]
    assert b"GREETING=hello" in Path(f"/proc/{pid}/environ").read_bytes()
    pickle = (tmp_path / "runs" / ".slurm" / f"{job.job_id}_submitted.pkl").read_bytes()
    assert b"hello" not in pickle


def test_cancelled_job_has_saved_and_lost_job_is_noticed_without_accounting(opened, tmp_path):
    launcher = opened()
    one = started(launcher, tmp_path)
    (job, _), *_ = launcher.jobs
    subprocess.run(["scancel", job.job_id], check=True)
    (end,) = wait_for(launcher.ended)
    assert end.task is one and (end.code == 128 + signal.SIGTERM or end.taken_away)
    assert "everything is saved" in one.log.read_text()
    assert list(tmp_path.glob("runs/*/checkpoint*"))

    two = started(launcher, tmp_path, "two")
    (lock,) = tmp_path.glob("runs/*/lock")
    pid = lock.read_text().split()[0]
    parent = Path(f"/proc/{pid}/stat").read_text().split()[3]
    for number in (parent, pid):  # submitit's process first, or it reports the run's signal
        os.kill(int(number), signal.SIGKILL)
    (end,) = wait_for(launcher.ended)
    assert end.task is two and end.code is None and not end.taken_away
    assert end.why.startswith("Slurm job ") and ".slurm" in end.why
