"""The local launcher, with small Python programs in place of runs."""

import os
import signal
import sys

import pytest
from helpers.waiting import wait_for

from dstbench.errors import UserError
from dstbench.sweeps.launchers import base, local
from dstbench.sweeps.launchers.base import End, LaunchOptions, Task


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Return a function that makes a Task of a Python program."""
    monkeypatch.setattr(local, "python", lambda _, code: [sys.executable, "-c", code])
    return lambda code, name="one": Task(name, (code,), tmp_path / f"{name}.txt")


def ended(launcher, count=1):
    done = []
    wait_for(lambda: done.extend(launcher.ended()) or len(done) >= count)
    return done


def test_local_reports_exit_codes_and_signals_and_keeps_output(script):
    launcher = local.Local(3)
    codes = {"a": "0", "b": "2"}
    tasks = {n: script(f"print('{n}'); import sys; sys.exit({c})", n) for n, c in codes.items()}
    tasks["c"] = script("import os; os.kill(os.getpid(), 9)", "c")
    for task in tasks.values():
        launcher.start(task)
    done = {end.task.name: end.code for end in ended(launcher, 3)}
    assert done == {"a": 0, "b": 2, "c": -9} and launcher.ended() == []
    assert tasks["a"].log.read_text() == "a\n"


def test_local_runs_are_in_their_own_session_and_stop_on_request(script):
    launcher = local.Local(1)
    task = script(
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), sys.exit(143)))\n"
        "print(os.getsid(0) == os.getpid(), flush=True)\n"
        "time.sleep(300)"
    )
    launcher.start(task)
    wait_for(lambda: "\n" in task.log.read_text())
    launcher.stop()
    assert task.log.read_text() == "True\nsaved\n" and ended(launcher) == [End(task, 143)]


def test_local_spreads_runs_evenly_over_gpus(script):
    launcher = local.Local(4, gpus=("0", "3"))
    code = "import os, time; print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); time.sleep(300)"
    tasks = [script(code, str(i)) for i in range(4)]
    for task in tasks:
        launcher.start(task)
    wait_for(lambda: all("\n" in task.log.read_text() for task in tasks))
    assert sorted(task.log.read_text().strip() for task in tasks) == ["0", "0", "3", "3"]
    os.kill(launcher.workers[1].process.pid, signal.SIGKILL)  # one on 3
    ended(launcher)
    launcher.start(again := script(code, "again"))
    wait_for(lambda: "\n" in again.log.read_text())
    assert again.log.read_text().strip() == "3"
    launcher.stop()


def test_local_gives_each_run_one_thread_by_default(tmp_path):
    def opened(workers=None, threads=None):
        return base.open_launcher("local", LaunchOptions(workers, threads, "cpu", tmp_path, {}))

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert opened().arguments == ("--threads", "1") and opened().slots == cores
    assert opened(threads=2).arguments == ("--threads", "2")
    assert opened(threads=2 * cores).slots == 1 and opened(workers=7).slots == 7


def test_parse_options_returns_values_and_unknown_options_are_refused(tmp_path):
    given = base.parse_options(["gpus=0.5", "slurm_partition=gpu", "setup=['a']"])
    assert given == {"gpus": 0.5, "slurm_partition": "gpu", "setup": ["a"]}
    with pytest.raises(UserError, match="expected NAME=VALUE"):
        base.parse_options(["gpus"])
    with pytest.raises(UserError, match="--launch gpus: no such option"):
        base.open_launcher("local", LaunchOptions(None, None, "cpu", tmp_path, given))
