"""The Slurm launcher, on submitit's executor for this machine; Slurm is not needed."""

import os
import re
import signal
from pathlib import Path

import pytest
from helpers.waiting import wait_for

from dstbench.errors import UserError
from dstbench.recording import record
from dstbench.sweeps.launchers import base
from dstbench.sweeps.launchers.base import End, LaunchOptions, Task

pytest.importorskip("submitit", reason="needs submitit: pip install 'dstbench[slurm]'")

RUN = (
    *("run", "methods/static.gin", "--sparsity", "0.8", "--set", "ResNet20.width=4"),
    *("--set", "Run.epochs=8", "--device", "cpu", "--tracking", "off"),
)


def opened(tmp_path, **options):
    wanted = LaunchOptions(1, None, "cpu", tmp_path / "runs", {"cluster": "local", **options})
    return base.open_launcher("slurm", wanted)


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().split()[3])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc, with the processes")
@pytest.mark.parametrize("whom", ["submitit's process", "all processes, as Slurm does"])
def test_slurm_job_that_is_preempted_is_queued_again_and_resumes(tmp_path, monkeypatch, whom):
    monkeypatch.chdir(tmp_path)
    launcher = opened(tmp_path)
    task = Task("one", (*RUN, "--runs", "runs", *launcher.arguments), tmp_path / "log.txt")
    launcher.start(task)
    wait_for(lambda: task.log.exists() and "  loss " in task.log.read_text())
    (lock,) = tmp_path.glob("runs/*/lock")
    run = int(lock.read_text().split()[0])
    for process in [parent_of(run), *([run] if whom.startswith("all") else [])]:
        os.kill(process, signal.SIGUSR2)
    assert wait_for(launcher.ended) == [End(task, 0)]
    log = task.log.read_text()
    assert re.search("Stopped by SIG(TERM|USR2); everything is saved", log)
    assert "Resuming at step" in log
    (path,) = tmp_path.glob("runs/*/record.json")
    finished = record.read(path)
    assert finished["status"] == "finished" and finished["provenance"]["sessions"] == 2


@pytest.mark.slow
def test_slurm_job_of_a_refused_run_ends_with_its_exit_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    launcher = opened(tmp_path)
    launcher.start(task := Task("one", ("run", "no_such.gin"), tmp_path / "log.txt"))
    assert wait_for(launcher.ended) == [End(task, 2)] and "no such file" in task.log.read_text()


@pytest.mark.parametrize("options", [{"cluster": "slurm"}, {"partitoin": "gpu"}])
def test_slurm_refuses_missing_slurm_and_unknown_options(tmp_path, monkeypatch, options):
    monkeypatch.setenv("PATH", str(tmp_path))  # no Slurm, on any machine
    with pytest.raises(UserError, match="--launcher slurm: "):
        opened(tmp_path, **options)
