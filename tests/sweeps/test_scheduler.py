"""The scheduler: which runs are started, retried, postponed or given up. No processes."""

import fcntl
import signal
import time
from collections import Counter

import pytest
from helpers.example_run import ExampleRun
from helpers.planned_runs import run_of

from dstbench.errors import UserError
from dstbench.recording.run_lock import BUSY
from dstbench.sweeps import scheduler
from dstbench.sweeps.launchers.base import End, NotStarted
from dstbench.sweeps.scheduler import Sweep
from dstbench.utils.signals import Interrupted


class Scripted:
    """A launcher whose runs end as scripted: a status for the record, an exit code, or an End.

    refusals: reasons for which the next starts are refused; None for a start that is not.
    before: names of runs that an earlier sweep started, for each question; the last one stays.
    """

    slots, arguments = 2, ()

    def __init__(self, refusals=(), before=(), **scripts):
        self.scripts = {name: list(script) for name, script in scripts.items()}
        self.refusals, self.before = list(refusals), list(before)
        self.starts: Counter = Counter()
        self.going, self.tasks = [], []

    def start(self, task):
        assert len(self.going) < self.slots
        if self.refusals and (why := self.refusals.pop(0)):
            raise NotStarted(why)
        self.starts[task.name] += 1
        self.going.append(task)
        self.tasks.append(task)

    def started_before(self):
        names = self.before.pop(0) if len(self.before) > 1 else (self.before or [()])[0]
        return frozenset(names)

    def ended(self):
        done, self.going = self.going, []
        return [end if isinstance(end := self.end(t), End) else End(t, end) for t in done]

    def end(self, task):
        match self.scripts[task.name].pop(0):
            case str(status):
                ExampleRun(task.log.parent).status(status)
                return 0 if status == "finished" else 1
            case (code, line):
                with task.log.open("a") as log:
                    log.write(line)
                return code
            case {"taken_away": why}:
                return End(task, None, why, taken_away=True)
            case {"lost": why}:
                return End(task, None, why)
            case code:
                return code

    def stop(self):
        self.going = []


class Events:
    """An observer that keeps the events of a sweep."""

    def __init__(self):
        self.events, self.said = [], []

    def __getattr__(self, name):
        return lambda run, *rest, **more: (
            None
            if name == "polled"
            else self.events.append((name, getattr(run, "name", run), *more.values()))
            or self.said.append((name, *rest))
        )


@pytest.fixture
def swept(tmp_path, monkeypatch):
    """Return a function that sweeps scripted runs: (sweep, launcher, events)."""
    monkeypatch.setattr(scheduler, "_POLL_S", 0.0)
    monkeypatch.setattr(scheduler, "_POLL_BUSY_S", 0.01)
    monkeypatch.setattr(scheduler, "_REFUSED_S", 0.05)

    def run(retries=2, observer=None, refusals=(), before=(), environment=None, **scripts):
        launcher, observer = Scripted(refusals, before, **scripts), observer or Events()
        runs = [run_of(tmp_path, name) for name in scripts]
        sweep = Sweep(runs, launcher, retries, observer, environment or {})
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
    busy = (2, f"dstbench: runs/x: another process (pid 7) {BUSY}.\n")
    done, launcher, events = swept(retries=0, one=[busy, busy, "finished"])
    assert launcher.starts == {"one": 3} and not done.failed
    assert ("busy_elsewhere", "one") in events


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2, signal.SIGHUP])
def test_run_that_a_signal_stopped_is_resumed_and_uses_up_no_retry(swept, number):
    done, launcher, events = swept(retries=0, one=[128 + number] * 5 + ["finished"])
    assert launcher.starts == {"one": 6} and not done.failed
    assert events.count(("stopped", "one")) == 5


def test_run_whose_machine_is_taken_away_uses_up_no_retry_but_not_for_ever(swept):
    gone = {"taken_away": "Slurm job 7: PREEMPTED"}
    done, launcher, _events = swept(retries=0, one=[gone] * 9 + ["finished"])
    assert launcher.starts == {"one": 10} and not done.failed
    done, launcher, _events = swept(retries=1, two=[gone] * 200)
    assert launcher.starts == {"two": 101 + 1}
    (why,) = done.failed.values()
    assert "Slurm job 7: PREEMPTED" in why


def test_run_that_a_signal_stops_at_each_start_is_given_up(swept):
    done, launcher, _events = swept(retries=1, one=[128 + signal.SIGTERM] * 200)
    assert launcher.starts == {"one": 101 + 1}
    (why,) = done.failed.values()
    assert why.startswith("died 2 times, the last time with exit code 143")


def test_lost_process_says_why_and_uses_up_retries(swept):
    done, _launcher, _ = swept(retries=1, one=[{"lost": "job 7 failed: no such folder"}] * 2)
    (why,) = done.failed.values()
    assert why == "died 2 times, the last time with its process lost: job 7 failed: no such folder"


def test_sweep_whose_first_run_is_refused_ends_with_the_reason_and_leaves_nothing(swept, tmp_path):
    with pytest.raises(UserError, match="No run could be started: invalid partition"):
        swept(refusals=["invalid partition"], one=["finished"], two=["finished"])
    assert not list(tmp_path.iterdir())


def test_sweep_waits_when_a_later_run_is_refused_and_loses_nothing(swept):
    done, launcher, events = swept(
        refusals=[None, "job limit", "job limit"], one=["finished"], two=[-9, "finished"]
    )
    assert launcher.starts == {"one": 1, "two": 2} and not done.failed
    assert events.count(("refused", "job limit")) == 2


def test_sweep_does_not_start_what_an_earlier_sweep_has_in_the_queue(swept, tmp_path):
    _done, launcher, events = swept(
        before=[{"one"}, {"one"}, ()], one=["finished"], two=["finished"]
    )
    first = events.index(("busy_elsewhere", "one"))
    assert launcher.starts == {"one": 1, "two": 1} and first < events.index(("started", "one"))


def test_environment_of_a_sweep_reaches_its_runs_and_no_file(swept, tmp_path):
    address = "http://me:secret@host"
    _, launcher, _ = swept(environment={"MLFLOW_TRACKING_URI": address}, one=["finished"])
    (task,) = launcher.tasks
    assert task.environment["MLFLOW_TRACKING_URI"] == address
    texts = [p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()]
    assert texts and not any(b"secret" in text for text in texts)


def test_signal_is_answered_while_many_runs_are_started(tmp_path, monkeypatch):
    class Slow(Scripted):
        slots = 10_000

        def start(self, task):
            super().start(task)
            time.sleep(0.05)
            if len(self.going) == 20:
                signal.raise_signal(signal.SIGTERM)

        def ended(self):
            return []

    runs = [run_of(tmp_path, f"run{i}") for i in range(500)]
    launcher, observer, began = Slow(), Events(), time.monotonic()
    with pytest.raises(Interrupted):
        Sweep(runs, launcher, 0, observer).run_all()
    assert len(launcher.tasks) < 60 and time.monotonic() < began + 5
    assert observer.events[-1] == ("stopping", len(launcher.tasks))
