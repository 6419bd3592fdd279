"""The Ray launcher, with a real Ray on this machine and a killed worker."""

import os
import re
import signal

import pytest
from helpers.waiting import wait_for

from dstbench.errors import UserError
from dstbench.recording import record
from dstbench.recording.file_names import CHECKPOINTS
from dstbench.sweeps.launchers import base
from dstbench.sweeps.launchers.base import End, LaunchOptions, NotStarted, Task

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'dstbench[ray]'")

RUN = (
    *("run", "methods/static.gin", "--sparsity", "0.8", "--set", "ResNet20.width=4"),
    *("--set", "Run.epochs=12", "--device", "cpu", "--tracking", "off"),
    *("--checkpoint-seconds", "0.2"),
)


@pytest.fixture
def ray_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    launcher = base.open_launcher(
        "ray", LaunchOptions(1, None, "cpu", tmp_path / "runs", {"cpus": 1})
    )
    yield launcher
    launcher.close()


def training(log):
    """Wait until the run in the log has finished an epoch."""
    wait_for(lambda: log.exists() and "  loss " in log.read_text())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cpus": "many"}, "--launch cpus=many: must be a number above zero"),
        ({"cpus": 0}, "--launch cpus=0: must be"),
        ({"address": "127.0.0.1:9"}, "nothing answers at 127.0.0.1:9"),
        ({"gpus": -1}, "--launch gpus=-1: must be zero or more"),
        pytest.param(
            {"cpus": 10_000}, "--launch cpus=10000: this machine has", marks=pytest.mark.slow
        ),
    ],
)
def test_ray_refuses_resources_that_it_cannot_provide(tmp_path, monkeypatch, options, message):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(UserError, match=re.escape(message)):
        base.open_launcher("ray", LaunchOptions(None, None, "cpu", tmp_path, options))
    assert not ray.is_initialized()


@pytest.mark.slow
def test_machine_without_the_folder_is_named_and_gets_no_more_runs(ray_here, tmp_path):
    task = Task("one", RUN, tmp_path / "no such folder" / "log.txt")
    ray_here.start(task)
    (end,) = wait_for(ray_here.ended)
    assert end.taken_away and end.code is None
    assert f"machine {os.uname().nodename} (" in end.why and "no such folder" in end.why
    with pytest.raises(NotStarted, match=r"no machine of the cluster can take it: machine "):
        ray_here.start(task)


@pytest.mark.slow
def test_ray_reports_a_killed_worker_and_its_run_resumes(ray_here, tmp_path):
    task = Task("one", (*RUN, "--runs", "runs", *ray_here.arguments), tmp_path / "log.txt")
    ray_here.start(task)
    wait_for(lambda: any((tmp_path / "runs").glob(f"*/{CHECKPOINTS[0]}")))
    (lock,) = tmp_path.glob("runs/*/lock")
    os.kill(int(lock.read_text().split()[0]), signal.SIGKILL)
    (end,) = wait_for(ray_here.ended)
    assert (end.code, end.taken_away) == (None, False) and "WorkerCrashedError" in end.why
    ray_here.start(task)
    assert wait_for(ray_here.ended) == [End(task, 0)]
    (path,) = tmp_path.glob("runs/*/record.json")
    finished = record.read(path)
    assert finished["status"] == "finished" and finished["provenance"]["sessions"] == 2
    assert finished["provenance"]["command"][:2] == ["dstbench", "run"]
    assert "Resuming at step" in task.log.read_text()

    again = Task("other", (*task.arguments, "--seed", "1"), tmp_path / "other.txt")
    ray_here.start(again)
    training(again.log)
    ray_here.stop()
    assert "everything is saved" in again.log.read_text()
