"""The parent run of a sweep in MLflow."""

import threading
import time

import pytest
from helpers.example_run import ExampleRun

from dstbench.tracking.parent_process import GRID, follow
from dstbench.tracking.parent_run import ParentRun
from dstbench.tracking.store import open_store
from dstbench.tracking.upload import upload


@pytest.mark.slow
def test_follow_makes_the_runs_children_of_one_parent_per_grid(tmp_path, monkeypatch):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    folders = [tmp_path / name for name in ("one", "two", "never")]
    store = open_store(uri)
    for folder in folders[:2]:
        ExampleRun(folder, folder.name).status("finished")
        upload(folder, store)
    ended = threading.Event()
    ended.set()
    message = {"title": "T", "sha256": "abc", "folders": [str(f) for f in folders]}
    for _ in range(2):  # the same grid has the same parent
        follow(message, ["FINISHED"], ended)
    found = store.client.search_runs([store.experiment_id], "")
    (parent,) = [run for run in found if run.data.tags.get(GRID) == "abc"]
    children = [run for run in found if run.data.tags.get("mlflow.parentRunId")]
    assert parent.info.status == "FINISHED" and parent.info.run_name == "T"
    assert len(found) == 3 and len(children) == 2
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}


def test_parent_run_starts_no_process_when_tracking_is_off(tmp_path):
    parent_run = ParentRun("T", "abc", [], "off", tmp_path / "log")
    assert parent_run.process is None and parent_run.finish("FINISHED", 1) is None
    assert not (tmp_path / "log").exists()


@pytest.mark.slow
def test_parent_run_gives_up_in_time_when_the_store_is_down(tmp_path):
    began = time.monotonic()
    parent_run = ParentRun("T", "abc", [tmp_path], "http://127.0.0.1:9", tmp_path / "log")
    line = parent_run.finish("FINISHED", 120)
    assert line is not None and "not in MLflow yet" in line and time.monotonic() - began < 100
