"""Runs as processes of this machine."""

import os
import signal
import sys
import time

import pytest

from dstbench.errors import UserError
from dstbench.sweep.launchers import base, local
from dstbench.sweep.launchers.base import LaunchOptions, Task


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Makes tasks run a piece of Python in place of the suite: Task from its text."""
    monkeypatch.setattr(local, "python", lambda _, code: [sys.executable, "-c", code])
    return lambda code, name="one": Task(name, (code,), tmp_path / f"{name}.txt")


def ended(launcher, count=1):
    done = []
    while len(done) < count:
        done += launcher.ended()
        time.sleep(0.01)
    return done


def test_exit_codes_and_signals_are_told_and_output_is_kept(script):
    launcher = local.Local(3)
    codes = {"a": "0", "b": "2"}
    tasks = {n: script(f"print('{n}'); import sys; sys.exit({c})", n) for n, c in codes.items()}
    tasks["c"] = script("import os; os.kill(os.getpid(), 9)", "c")
    for task in tasks.values():
        launcher.start(task)
    done = {task.name: code for task, code in ended(launcher, 3)}
    assert done == {"a": 0, "b": 2, "c": -9} and launcher.ended() == []
    assert tasks["a"].log.read_text() == "a\n"


def test_runs_are_out_of_reach_of_ctrl_c_and_are_asked_to_stop(script):
    launcher = local.Local(1)
    task = script(
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), sys.exit(143)))\n"
        "print(os.getsid(0) == os.getpid(), flush=True)\n"
        "time.sleep(60)"
    )
    launcher.start(task)
    while "\n" not in task.log.read_text():
        time.sleep(0.01)
    launcher.stop()
    assert task.log.read_text() == "True\nsaved\n" and ended(launcher) == [(task, 143)]


def test_gpus_are_shared_out_evenly(script):
    launcher = local.Local(4, gpus=("0", "3"))
    code = "import os, time; print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); time.sleep(60)"
    tasks = [script(code, str(i)) for i in range(4)]
    for task in tasks:
        launcher.start(task)
    while any("\n" not in task.log.read_text() for task in tasks):
        time.sleep(0.01)
    assert sorted(task.log.read_text().strip() for task in tasks) == ["0", "0", "3", "3"]
    os.kill(launcher.workers[1].process.pid, signal.SIGKILL)  # one on 3
    ended(launcher)
    launcher.start(again := script(code, "again"))
    while "\n" not in again.log.read_text():
        time.sleep(0.01)
    assert again.log.read_text().strip() == "3"
    launcher.stop()


def test_a_cpu_has_one_thread_a_run_unless_asked(tmp_path):
    def opened(workers=None, threads=None):
        return base.launcher("local", LaunchOptions(workers, threads, "cpu", tmp_path, {}))

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert opened().arguments == ("--threads", "1") and opened().slots == cores
    assert opened(threads=2).arguments == ("--threads", "2")
    assert opened(threads=2 * cores).slots == 1 and opened(workers=7).slots == 7


def test_options_are_values_and_unknown_ones_are_refused(tmp_path):
    given = base.options(["gpus=0.5", "slurm_partition=gpu", "setup=['a']"])
    assert given == {"gpus": 0.5, "slurm_partition": "gpu", "setup": ["a"]}
    with pytest.raises(UserError, match="expected NAME=VALUE"):
        base.options(["gpus"])
    with pytest.raises(UserError, match="--launch gpus: no such option"):
        base.launcher("local", LaunchOptions(None, None, "cpu", tmp_path, given))
