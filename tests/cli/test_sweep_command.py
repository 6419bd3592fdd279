"""`dstbench sweep` with real runs: resumed, shared, shown, refused."""

import json
import os
import signal

import pytest
from helpers.forked import dstbench
from helpers.waiting import wait_for

GRID_TEXT = """
Table.title = 'Small'
Table.sections = [@Section()]
Section.methods = ['static']
Section.recipes = ['digits']
Section.sparsities = [0.5, 0.8]
Section.seeds = [0]
Section.bindings = ['Run.epochs = 8', 'ResNet20.width = 4']
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Return a working folder with a grid of two short runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.gin").write_text(GRID_TEXT)
    return tmp_path


OPTIONS = ("small.gin", "--tracking", "off", "--device", "cpu", "--workers", "1")


def start():
    return dstbench("sweep", *OPTIONS)


def logs(folder, text, count=1):
    """Wait until `count` of the runs' logs contain the text."""
    files = "runs/*/log.txt"
    wait_for(lambda: sum(text in log.read_text() for log in folder.glob(files)) >= count)


def records(folder):
    return {p.parent.name: json.loads(p.read_text()) for p in folder.glob("runs/*/record.json")}


@pytest.mark.slow
def test_sweep_resumes_after_a_signal_and_after_a_kill(small):
    first = start()
    logs(small, "  loss ")
    first.send_signal(signal.SIGTERM)
    assert first.wait() == 128 + signal.SIGTERM and "to resume" in first.errors, first.errors
    (one,) = records(small).values()
    assert one["status"] == "interrupted"

    second = start()
    logs(small, "  loss ", 2)  # so the first run is done, and the second in the middle
    second.send_signal(signal.SIGKILL)
    (worker,) = [
        int((folder / "lock").read_text().split()[0])
        for folder in small.glob("runs/*")
        if "test accuracy" not in (folder / "log.txt").read_text()
    ]
    os.kill(worker, signal.SIGKILL)
    second.wait()
    before = records(small)
    assert sorted(r["status"] for r in before.values()) == ["finished", "running"]

    third = start()
    assert third.wait() == 0 and "2 of 2 runs are done" in third.output, third.errors
    after = records(small)
    for name, record in after.items():
        starts = (small / "runs" / name / "log.txt").read_text().count("--- ")
        assert record["status"] == "finished" and starts == 2
        if before[name]["status"] == "finished":  # unchanged; it was resumed before, not restarted
            assert record == before[name] and record["provenance"]["sessions"] == 2


@pytest.mark.slow
def test_two_sweeps_on_one_folder_do_each_run_once(small):
    (small / "small.gin").write_text(GRID_TEXT.replace("Run.epochs = 8", "Run.epochs = 2"))
    both = [start(), start()]
    for one in both:
        assert one.wait() == 0 and "2 of 2 runs are done" in one.output, one.errors
    assert all(r["provenance"]["sessions"] == 1 for r in records(small).values())


def test_dry_run_shows_the_plan_and_starts_nothing(small, call):
    code, out, _ = call("sweep", *OPTIONS, "--dry-run")
    assert code == 0 and "2 runs: 2 missing" in out and "time unknown for 2 runs" in out
    assert not (small / "runs").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--workers", "0"), "--workers 0"),
        (("--retries", "-1"), "--retries -1"),
        (("--threads", "5000"), "--threads 5000"),
        (("--tracking", "bogus"), "'bogus' is not a store"),
        (("--tracking", "bogus", "--dry-run"), "'bogus' is not a store"),
        (("--only", "seed=7"), "no such seed"),
        (("--launch", "gpus=1"), "--launch gpus: no such option"),
        (("--plugin", "none.py"), "--plugin none.py"),
        (("--launcher", "ray", "--launch", "precision=fp8"), "--launch precision=fp8"),
        (("--device", "gpu7"), "--device gpu7"),
    ],
)
def test_sweep_refuses_mistakes_before_any_run_starts(small, call, more, words):
    code, _, err = call("sweep", *OPTIONS, *more)
    assert code == 2 and words in err and not (small / "runs").exists()


@pytest.mark.parametrize("binding", ["sparsity = 0.6", "Run.seed = 3"])
def test_sweep_refuses_bindings_that_contradict_the_lists(small, call, binding):
    grid_file = small / "other.gin"
    bindings = ["Run.epochs = 8", binding]
    lines = GRID_TEXT.strip().splitlines()[:-1]
    grid_file.write_text("\n".join([*lines, f"Section.bindings = {bindings!r}"]))
    code, _, err = call("sweep", str(grid_file), *OPTIONS[1:], "--dry-run")
    assert code == 2 and ("the grid lists it as" in err or "uses %seed" in err)
    assert "other.gin: Static" in err
