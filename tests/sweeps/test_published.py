"""Runs that a leaderboard has are not repeated."""

import pytest
from helpers.example_run import ExampleRun
from helpers.record_factory import make_record

from dstbench.errors import UserError
from dstbench.recording import record as records
from dstbench.sweeps.plan import RunOptions
from dstbench.sweeps.published import published_hashes
from dstbench.sweeps.request import SweepRequest

GRID = """
Table.title = 'Small'
Table.sections = [@Section()]
Section.methods = ['static']
Section.recipes = ['digits']
Section.sparsities = [0.5, 0.8]
Section.seeds = [0, 1]
"""


@pytest.fixture
def request_of(tmp_path):
    """Return a function: whether the sweep of four runs looks at the leaderboard → the request."""
    (tmp_path / "small.gin").write_text(GRID)
    shared = RunOptions(tmp_path / "runs", "cpu", tracking="off")

    def request(published: bool) -> SweepRequest:
        leaderboard = tmp_path / "leaderboard" if published else None
        return SweepRequest(str(tmp_path / "small.gin"), shared, published=leaderboard)

    return request


def publish(folder, name, sha256, status="finished"):
    (folder / "leaderboard" / "records").mkdir(parents=True, exist_ok=True)
    record = make_record("Static", status=status) | {"config": {"text": "", "sha256": sha256}}
    records.write(folder / "leaderboard" / "records" / f"{name}.json", record)


def test_published_runs_are_not_started_and_have_no_folder(tmp_path, request_of):
    first, second, third, fourth = request_of(published=False).plan().stages
    for name, run in (("a", first), ("b", second), ("c", third)):
        publish(tmp_path, name, run.sha256, "diverged" if name == "c" else "finished")
    done = ExampleRun(second.folder)
    done.record["config"]["sha256"] = second.sha256
    done.status("finished")

    plan = request_of(published=True).plan()
    assert list(plan.stages.values()) == ["published", "finished", "published", "missing"]
    assert plan.remaining == [fourth]
    assert plan.folders == [second.folder, fourth.folder]
    assert request_of(published=False).plan().remaining == [first, third, fourth]


def test_only_readable_records_of_finished_runs_are_published(tmp_path):
    publish(tmp_path, "a", "done")
    publish(tmp_path, "b", "begun", "running")
    (tmp_path / "leaderboard" / "records" / "c.json").write_text("{")
    assert published_hashes(tmp_path / "leaderboard") == {"done"}


def test_a_folder_without_records_is_refused(tmp_path, request_of):
    with pytest.raises(UserError, match=r"--published .*leaderboard: no records"):
        request_of(published=True).plan()
