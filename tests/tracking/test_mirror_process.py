"""The mirror's child process: when it makes a pass, and how it handles failures."""

import subprocess
import sys
import threading

import pytest
from helpers.example_run import ExampleRun

from dstbench.tracking import mirror_process
from dstbench.tracking.upload import Upload


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Return a mirror whose passes are recorded, and fail while `broken` holds an error."""
    run = ExampleRun(tmp_path / "run")
    monkeypatch.setattr(mirror_process, "probe", lambda uri: "fine")
    monkeypatch.setattr(mirror_process, "open_store", lambda uri: "store")
    passes, broken = [], []

    def upload(folder, store):
        passes.append(folder)
        if broken:
            raise broken[0]
        return Upload("id", "here", 1, 0)

    monkeypatch.setattr(mirror_process, "upload", upload)
    return mirror_process.FolderMirror(run.folder, "uri"), run, passes, broken


def test_catch_up_makes_a_pass_after_a_change_only(watched):
    following, run, passes, _ = watched
    assert following.catch_up() and following.catch_up()
    assert len(passes) == 1
    run.epochs(1)
    assert following.catch_up()
    assert len(passes) == 2


def test_catch_up_makes_no_pass_without_a_record(watched):
    following, run, passes, _ = watched
    (run.folder / "record.json").unlink()
    assert following.catch_up()
    assert passes == []


def test_catch_up_reports_a_failure_once_and_waits_longer_each_time(watched, capsys, monkeypatch):
    following, _, _, broken = watched
    monkeypatch.setattr(mirror_process.time, "monotonic", lambda: 0.0)
    broken.append(ConnectionError("no\nstore"))
    waits = []
    for _ in range(6):
        assert not following.catch_up()
        waits.append(following.next_pass)
    assert waits == [5, 10, 20, 40, 60, 60]
    assert capsys.readouterr().out.count("not mirrored: ConnectionError: no\n") == 1
    broken.clear()
    assert following.catch_up()
    assert (following.next_pass, following.failures) == (5, 0)


@pytest.mark.parametrize(("answered_before", "tries"), [(True, 2), (False, 1)])
def test_follow_tries_a_dead_store_once_at_the_end(watched, answered_before, tries):
    following, run, passes, broken = watched
    if answered_before:
        following.catch_up()
        run.status("finished")
        passes.clear()
    broken.append(ConnectionError())
    ended = threading.Event()
    ended.set()
    assert not following.follow(ended)
    assert len(passes) == tries


def test_mirror_process_imports_no_torch():
    code = (
        "import dstbench.tracking.mirror_process, sys; "
        "print([m for m in ('torch', 'gin') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
