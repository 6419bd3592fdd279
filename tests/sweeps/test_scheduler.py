"""The scheduler: which runs are started, retried, postponed or given up. No processes."""

import fcntl
import signal
from collections import Counter

import pytest
from helpers.example_run import ExampleRun
from helpers.planned_runs import run_of

from dstbench.sweeps import scheduler
from dstbench.sweeps.scheduler import Sweep


class Scripted:
    """A launcher whose runs end as scripted: a status for the record, or an exit code."""

    slots, arguments = 2, ()

    def __init__(self, **scripts):
        self.scripts = {name: list(script) for name, script in scripts.items()}
        self.starts: Counter = Counter()
        self.going = []

    def start(self, task):
        assert len(self.going) < self.slots
        self.starts[task.name] += 1
        self.going.append(task)

    def ended(self):
        done, self.going = self.going, []
        return [(task, self.end(task)) for task in done]

    def end(self, task):
        match self.scripts[task.name].pop(0):
            case str(status):
                ExampleRun(task.log.parent).status(status)
                return 0 if status == "finished" else 1
            case (code, line):
                with task.log.open("a") as log:
                    log.write(line)
                return code
            case code:
                return code

    def stop(self):
        self.going = []


class Events:
    """An observer that keeps the events of a sweep."""

    def __init__(self):
        self.events = []

    def __getattr__(self, name):
        return lambda run, *_, **more: (
            None if name == "polled" else self.events.append((name, run.name, *more.values()))
        )


@pytest.fixture
def swept(tmp_path, monkeypatch):
    """Return a function that sweeps scripted runs: (sweep, launcher, events)."""
    monkeypatch.setattr(scheduler, "_POLL_S", 0.0)
    monkeypatch.setattr(scheduler, "_POLL_BUSY_S", 0.01)

    def run(retries=2, observer=None, **scripts):
        launcher, observer = Scripted(**scripts), observer or Events()
        runs = [run_of(tmp_path, name) for name in scripts]
        sweep = Sweep(runs, launcher, retries, observer)
        sweep.run_all()
        return sweep, launcher, observer.events

    return run


def test_sweep_retries_crashes_and_one_failure_stops_no_other_run(swept):
    done, launcher, _ = swept(
        fine=["finished"],
        dies=[-9, None, "finished"],
        wrong=[(2, "dstbench: no such dataset")],
        diverges=["diverged"],
        hopeless=["failed", -9, (1, "ValueError: why")],
        late=["finished"],
    )
    starts = {"fine": 1, "dies": 3, "wrong": 1, "diverges": 1, "hopeless": 3, "late": 1}
    assert launcher.starts == starts
    why = {run.name: reason for run, reason in done.failed.items()}
    assert why == {
        "wrong": "dstbench: no such dataset",
        "hopeless": "died 3 times, the last time with exit code 1: ValueError: why",
    }


def test_sweep_does_not_start_a_finished_run(swept, tmp_path):
    ExampleRun(tmp_path / "fine").status("finished")
    _, launcher, events = swept(fine=[], other=["finished"])
    assert launcher.starts == {"other": 1} and ("done", "fine", True) in events


def test_sweep_waits_for_a_run_that_another_process_holds(swept, tmp_path):
    (tmp_path / "held").mkdir()
    lock = (tmp_path / "held" / "lock").open("a")
    fcntl.flock(lock, fcntl.LOCK_EX)

    class Other(Events):
        def busy_elsewhere(self, run):  # the other process finishes it after the first poll
            self.events.append(("busy_elsewhere", run.name))
            ExampleRun(run.folder).status("finished")
            lock.close()

    done, launcher, events = swept(observer=Other(), held=[], other=["finished"])
    assert launcher.starts == {"other": 1} and not done.failed
    assert events.index(("busy_elsewhere", "held")) < events.index(("done", "held", True))


def test_sweep_postpones_a_run_whose_lock_another_process_took_first(swept):
    busy = (2, "dstbench: runs/x: another process (pid 7) is working on this run.\n")
    done, launcher, events = swept(retries=0, one=[busy, busy, "finished"])
    assert launcher.starts == {"one": 3} and not done.failed
    assert ("busy_elsewhere", "one") in events


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2, signal.SIGHUP])
def test_run_that_a_signal_stopped_is_resumed_and_uses_up_no_retry(swept, number):
    done, launcher, events = swept(retries=0, one=[128 + number] * 5 + ["finished"])
    assert launcher.starts == {"one": 6} and not done.failed
    assert events.count(("stopped", "one")) == 5
