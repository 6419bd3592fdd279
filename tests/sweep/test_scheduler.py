"""A sweep runs what is missing, survives whatever happens to it, and says what is left."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest
from helpers.example_run import ExampleRun

from dstbench.config import grid
from dstbench.config.grid import Job
from dstbench.errors import UserError
from dstbench.sweep import scheduler
from dstbench.sweep.estimate import Estimate
from dstbench.sweep.job_filter import only
from dstbench.sweep.plan import Planned, once_each
from dstbench.sweep.scheduler import Sweep
from dstbench.tracking.parent_run import GRID, Family, follow

GRID_TEXT = """
Table.title = 'Small'
Table.sections = [@Section()]
Section.methods = ['static']
Section.recipes = ['digits']
Section.sparsities = [0.5, 0.8]
Section.seeds = [0]
Section.bindings = ['Run.epochs = 8', 'ResNet20.width = 4']
"""


def run_of(folder, name, text="", sha256="c0ffee", epochs=10):
    job = Job("RigL", "digits", "ResNet20", 0.9, 3, "strict", "rigl", "digits", (name,))
    return Planned(job, folder / name, sha256, text, epochs, ("run", name))


# --- the decisions: a launcher that does as told, no processes ------------------------------------


class Scripted:
    """Ends each start of a run as its script says: a status for its record, or an exit code."""

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
            case (code, said):
                with task.log.open("a") as log:
                    log.write(said)
                return code
            case code:
                return code

    def stop(self):
        self.going = []


class Told:
    """Writes down what a sweep tells its witness."""

    def __init__(self):
        self.events = []

    def __getattr__(self, name):
        return lambda run, *_, **more: (
            None if name == "looked" else self.events.append((name, run.name, *more.values()))
        )


@pytest.fixture
def swept(tmp_path, monkeypatch):
    """Sweeps scripted runs: (sweep, launcher, events)."""
    monkeypatch.setattr(scheduler, "_LOOK_S", 0.0)
    monkeypatch.setattr(scheduler, "_LOOK_ELSEWHERE_S", 0.01)

    def go(retries=2, told=None, **scripts):
        launcher, told = Scripted(**scripts), told or Told()
        runs = [run_of(tmp_path, name) for name in scripts]
        done = Sweep(runs, launcher, retries, told)
        done.go()
        return done, launcher, told.events

    return go


def test_one_failure_stops_nothing_and_each_is_treated_as_it_deserves(swept):
    done, launcher, _ = swept(
        fine=["finished"],
        dies=[-9, None, "finished"],
        wrong=[(2, "dstbench: no such dataset")],
        diverges=["diverged"],
        hopeless=["failed", -9, (1, "ValueError: why")],
        late=["finished"],
    )
    assert launcher.starts == {
        "fine": 1, "dies": 3, "wrong": 1, "diverges": 1, "hopeless": 3, "late": 1
    }  # fmt: skip
    why = {run.name: reason for run, reason in done.failed.items()}
    assert why == {
        "wrong": "dstbench: no such dataset",
        "hopeless": "died 3 times, at last with exit code 1: ValueError: why",
    }


def test_what_is_done_meanwhile_is_not_started(swept, tmp_path):
    ExampleRun(tmp_path / "fine").status("finished")
    _, launcher, events = swept(fine=[], other=["finished"])
    assert launcher.starts == {"other": 1} and ("done", "fine", True) in events


def test_a_run_that_another_process_holds_is_waited_for(swept, tmp_path):
    (tmp_path / "held").mkdir()
    lock = (tmp_path / "held" / "lock").open("a")
    fcntl.flock(lock, fcntl.LOCK_EX)

    class Other(Told):
        def elsewhere(self, run):  # the other process finishes it once we have looked
            self.events.append(("elsewhere", run.name))
            ExampleRun(run.folder).status("finished")
            lock.close()

    done, launcher, events = swept(told=Other(), held=[], other=["finished"])
    assert launcher.starts == {"other": 1} and not done.failed
    assert events.index(("elsewhere", "held")) < events.index(("done", "held", True))


def test_a_run_that_another_process_was_quicker_to_hold_is_no_failure(swept):
    busy = (2, "dstbench: runs/x: another process (pid 7) is working on this run.\n")
    done, launcher, events = swept(retries=0, one=[busy, busy, "finished"])
    assert launcher.starts == {"one": 3} and not done.failed
    assert ("elsewhere", "one") in events


def test_a_record_of_another_configuration_does_not_count(swept, tmp_path):
    ExampleRun(tmp_path / "one").status("finished")
    assert run_of(tmp_path, "one", sha256="c0ffee").stage() == "finished"
    assert run_of(tmp_path, "one", sha256="decade").stage() != "finished"


def test_the_same_configuration_is_one_run(tmp_path):
    runs = [run_of(tmp_path, n, sha256=s) for n, s in (("a", "1"), ("b", "2"), ("c", "1"))]
    assert [run.name for run in once_each(runs)] == ["a", "b"]


# --- choosing, estimating -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ([], 36),
        (["method=RigL"], 12),
        (["method=rigl_ws"], 12),
        (["method=rigl, sparsity=0.9995, seed=2"], 2),
        (["model=resnet34,sparsity=.99990"], 9),
        (["recipe=cifar10_resnet50,seed=0", "seed=1"], 18),
    ],
)
def test_only(filters, count):
    jobs = grid.read("table4").jobs
    assert len(only(jobs, filters)) == count


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("method", "expected KEY=VALUE"),
        ("methd=RigL", "Did you mean 'method'"),
        ("method=rigl_w", "the grid has no such method. Did you mean 'rigl_ws'"),
        ("sparsity=0.5", "the grid has no such sparsity"),
        ("model=ResNet50,recipe=cifar10_resnet34", "no run of the grid is all of that"),
    ],
)
def test_only_refuses_what_the_grid_does_not_have(text, words):
    with pytest.raises(UserError, match=words):
        only(grid.read("table4").jobs, [text])


def test_estimates_come_from_like_runs_of_like_methods(tmp_path):
    def text(epochs, batch=64):
        return (
            f"ResNet20.width = 16\nRun.batch_size = {batch}\nRun.dataset = 'digits'\n"
            f"Run.epochs = {epochs}\nRun.model = @ResNet20\n"
        )

    def recorded(name, method, epochs, seconds, batch=64):
        example = ExampleRun(tmp_path / name)
        example.record |= {"method": method, "config": {"text": text(epochs, batch), "sha256": "x"}}
        example.record["provenance"]["train_seconds"] = seconds
        example.status("finished")

    recorded("a", "RigL", 10, 30.0)
    recorded("b", "RigL", 20, 20.0)
    recorded("c", "SET", 10, 90.0)
    recorded("d", "SET", 10, 7000.0, batch=128)
    run = run_of(tmp_path, "new", text(100), epochs=100)
    assert Estimate(tmp_path, "cpu").seconds_left(run) == pytest.approx(200)  # median of 3 and 1
    other = Planned(Job("New", *["?"] * 2, None, 0, "", "", "", ()), *list(vars(run).values())[1:])
    assert Estimate(tmp_path, "cpu").seconds_left(other) == pytest.approx(300)  # of 3, 1 and 9
    assert Estimate(tmp_path, "NVIDIA").seconds_left(run) is None
    unlike = run_of(tmp_path, "new", text(100).replace("width = 16", "width = 8"))
    assert Estimate(tmp_path, "cpu").seconds_left(unlike) is None
    ExampleRun(run.folder).epochs(25)
    assert Estimate(tmp_path, "cpu").seconds_left(run) == pytest.approx(150)


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder to sweep in, with a grid of two short runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.gin").write_text(GRID_TEXT)
    return tmp_path


OPTIONS = ("small.gin", "--tracking", "off", "--device", "cpu", "--workers", "1")


def start():
    command = [sys.executable, "-m", "dstbench", "sweep", *OPTIONS]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def logs(folder, text, count=1):
    """Wait until so many of the runs' logs hold the text."""
    while sum(text in log.read_text() for log in folder.glob("runs/*/log.txt")) < count:
        time.sleep(0.05)


def records(folder):
    return {p.parent.name: json.loads(p.read_text()) for p in folder.glob("runs/*/record.json")}


@pytest.mark.slow
def test_a_sweep_that_is_stopped_and_killed_is_finished_by_the_same_command(small):
    first = start()
    logs(small, "  loss ")
    first.send_signal(signal.SIGTERM)
    out, told = first.communicate()
    assert first.returncode == 128 + signal.SIGTERM and "The same command goes on" in told, told
    (one,) = records(small).values()
    assert one["status"] == "interrupted"

    second = start()
    logs(small, "  loss ", 2)  # so the first run is done, and the second in the middle
    second.kill()
    (worker,) = [
        int((folder / "lock").read_text())
        for folder in small.glob("runs/*")
        if "test accuracy" not in (folder / "log.txt").read_text()
    ]
    os.kill(worker, signal.SIGKILL)
    second.communicate()
    before = records(small)
    assert sorted(r["status"] for r in before.values()) == ["finished", "running"]

    third = start()
    out, told = third.communicate()
    assert third.returncode == 0 and "2 of 2 runs are done" in out, told
    after = records(small)
    for name, record in after.items():
        starts = (small / "runs" / name / "log.txt").read_text().count("--- ")
        assert record["status"] == "finished" and starts == 2
        if before[name]["status"] == "finished":  # untouched, and it had gone on, not begun again
            assert record == before[name] and record["provenance"]["sessions"] == 2


@pytest.mark.slow
def test_two_sweeps_share_a_folder(small):
    both = [start(), start()]
    for one in both:
        out, told = one.communicate()
        assert one.returncode == 0 and "2 of 2 runs are done" in out, told
    assert all(r["provenance"]["sessions"] == 1 for r in records(small).values())


def test_the_plan_is_shown_without_starting_anything(small, call):
    code, out, _ = call("sweep", *OPTIONS, "--dry-run")
    assert code == 0 and "2 runs: 2 missing" in out and "cost unknown of 2 runs" in out
    assert not (small / "runs").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--workers", "0"), "--workers 0"),
        (("--retries", "-1"), "--retries -1"),
        (("--only", "seed=7"), "no such seed"),
        (("--launch", "gpus=1"), "--launch gpus: no such option"),
        (("--plugin", "none.py"), "--plugin none.py"),
        (("--device", "gpu7"), "--device gpu7"),
    ],
)
def test_mistakes_are_told_before_anything_starts(small, call, more, words):
    code, _, told = call("sweep", *OPTIONS, *more)
    assert code == 2 and words in told and not (small / "runs").exists()


@pytest.mark.parametrize("binding", ["sparsity = 0.6", "Run.seed = 3"])
def test_bindings_may_not_make_a_run_another_than_the_grid_lists(small, call, binding):
    grid_file = small / "other.gin"
    bindings = ["Run.epochs = 8", binding]
    lines = GRID_TEXT.strip().splitlines()[:-1]
    grid_file.write_text("\n".join([*lines, f"Section.bindings = {bindings!r}"]))
    code, _, told = call("sweep", str(grid_file), *OPTIONS[1:], "--dry-run")
    assert code == 2 and ("the grid lists it as" in told or "uses %seed" in told)


# --- MLflow ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_runs_belong_to_the_sweep_in_mlflow(tmp_path, monkeypatch):
    from dstbench.tracking.store import open_store
    from dstbench.tracking.upload import mirror

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    folders = [tmp_path / name for name in ("one", "two", "never")]
    store = open_store(uri)
    for folder in folders[:2]:
        ExampleRun(folder, folder.name).status("finished")
        mirror(folder, store)
    ended = threading.Event()
    ended.set()
    message = {"title": "T", "sha256": "abc", "folders": [str(f) for f in folders]}
    for _ in range(2):  # the same grid again is the same parent
        follow(message, ended, ["FINISHED"])
    found = store.client.search_runs([store.experiment_id], "")
    (parent,) = [run for run in found if run.data.tags.get(GRID) == "abc"]
    children = [run for run in found if run.data.tags.get("mlflow.parentRunId")]
    assert parent.info.status == "FINISHED" and parent.info.run_name == "T"
    assert len(found) == 3 and len(children) == 2
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}


def test_with_tracking_off_nothing_is_started_for_mlflow(tmp_path):
    family = Family("T", "abc", [], "off", tmp_path / "log")
    assert family.process is None and family.finish("FINISHED", 1) is None
    assert not (tmp_path / "log").exists()


@pytest.mark.slow
def test_a_store_that_is_down_neither_stops_nor_stalls(tmp_path):
    began = time.monotonic()
    family = Family("T", "abc", [tmp_path], "http://127.0.0.1:9", tmp_path / "log")
    told = family.finish("FINISHED", 30)
    assert told is not None and "not in MLflow yet" in told and time.monotonic() - began < 30
