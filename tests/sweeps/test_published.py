"""Runs that a leaderboard shows are not repeated; those that it rejects are."""

import dataclasses
from pathlib import Path

import pytest
from helpers.example_run import ExampleRun
from helpers.lab import write_records
from helpers.planned_runs import run_of
from helpers.record_factory import make_record

from dstbench.errors import UserError
from dstbench.sweeps import request
from dstbench.sweeps.plan import RunOptions
from dstbench.sweeps.published import PublishedRuns
from dstbench.sweeps.request import SweepRequest

GRID = """
Table.title = 'Small'
Table.sections = [@Section()]
Section.methods = ['static']
Section.recipes = ['digits']
Section.sparsities = [0.5, 0.8]
Section.seeds = [0, 1]
"""


def run_of_record(record, plugins=()):
    run = run_of(Path("runs"), "a", **record["config"])
    return dataclasses.replace(run, plugins=plugins)


def test_published_runs_are_not_started_and_have_no_folder(tmp_path, monkeypatch):
    (tmp_path / "small.gin").write_text(GRID)
    shared = RunOptions(tmp_path / "runs", "cpu", tracking="off")
    first, second, third, fourth = SweepRequest(str(tmp_path / "small.gin"), shared).plan().stages
    done = ExampleRun(second.folder)
    done.record["config"]["sha256"] = second.sha256
    done.status("finished")

    class Published:
        rejected = ()

        def __init__(self, folder):
            assert folder == tmp_path

        def shows(self, run):
            return run in (first, second, third)

    monkeypatch.setattr(request, "PublishedRuns", Published)
    plan = SweepRequest(str(tmp_path / "small.gin"), shared, published=tmp_path).plan()
    assert list(plan.stages.values()) == ["published", "finished", "published", "missing"]
    assert plan.remaining == [fourth]
    assert plan.folders == [second.folder, fourth.folder]


def test_results_are_published_and_rejected_records_are_not(tmp_path):
    good, diverged = make_record("RigL", 0), make_record("RigL", 1, status="diverged")
    forged = make_record("RigL", 2)
    forged["config"]["text"] += "SGD.lr = 3\n"  # not what the hash is of
    on_test = make_record("RigL", 3, selected_on_test=True, protocol="itop_compat")
    write_records(tmp_path, good, diverged, forged, on_test)
    (tmp_path / "records" / "damaged.json").write_text("{")
    published = PublishedRuns(tmp_path)
    runs = [run_of_record(one) for one in (good, diverged, forged, on_test)]
    assert [published.shows(run) for run in runs] == [True, True, False, False]
    assert {name for one in published.rejected for name in one.names} >= {"damaged"}


def test_a_run_of_another_version_of_a_plugin_is_not_published(tmp_path):
    record = make_record("RigL", 0)
    record["provenance"]["plugins"] = {"mine.py": "a" * 64}
    write_records(tmp_path, record)
    published = PublishedRuns(tmp_path)
    assert published.shows(run_of_record(record, (("mine.py", "a" * 64),)))
    assert not published.shows(run_of_record(record, (("mine.py", "b" * 64),)))
    assert not published.shows(run_of_record(record))


def test_a_folder_without_records_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"--published .*: no results"):
        PublishedRuns(tmp_path)
