"""The mirror's process: when it passes, how it bears failures, and that it never stays behind."""

import subprocess
import sys
import threading

import pytest
from helpers.example_run import ExampleRun

from dstbench.tracking import mirror_process
from dstbench.tracking.upload import Mirrored


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """A watch whose passes are counted, and fail as long as `broken` holds an error."""
    run = ExampleRun(tmp_path / "run")
    monkeypatch.setattr(mirror_process, "probe", lambda uri: "fine")
    monkeypatch.setattr(mirror_process, "open_store", lambda uri: "store")
    passes, broken = [], []

    def mirror(folder, store):
        passes.append(folder)
        if broken:
            raise broken[0]
        return Mirrored("id", "here", 1, 0)

    monkeypatch.setattr(mirror_process, "mirror", mirror)
    return mirror_process.Watch(run.folder, "uri"), run, passes, broken


def test_it_passes_when_something_is_new(watched):
    following, run, passes, _ = watched
    assert following.catch_up() and following.catch_up()
    assert len(passes) == 1
    run.epochs(1)
    assert following.catch_up()
    assert len(passes) == 2


def test_no_record_is_nothing_to_mirror(watched):
    following, run, passes, _ = watched
    (run.folder / "record.json").unlink()
    assert following.catch_up()
    assert passes == []


def test_failures_are_said_once_and_waited_for_ever_longer(watched, capsys, monkeypatch):
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
def test_a_dead_store_does_not_hold_up_the_end(watched, answered_before, tries):
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


def test_it_leaves_some_time_after_the_run_whatever_it_waits_for():
    code = (
        "import threading, time, dstbench.tracking.mirror_process as watch\n"
        "watch._LINGER_S = 0.1\n"
        "threading.Thread(target=watch.heed_run, args=(threading.Event(),), daemon=True).start()\n"
        "time.sleep(100)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, timeout=60
    )
    assert done.returncode == 1
    assert b"took too long" in done.stdout


def test_it_needs_no_torch():
    code = (
        "import dstbench.tracking.mirror_process, sys; "
        "print([m for m in ('torch', 'gin') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
