"""The lock of a run's folder."""

import errno
import fcntl
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from dstbench.errors import UserError
from dstbench.recording import heartbeat, run_lock
from dstbench.recording.file_names import LOCK
from dstbench.utils import files

HOLD = """
import pathlib, sys, time
from dstbench.recording import heartbeat, run_lock
with run_lock.locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(300)
"""


def test_locked_creates_the_folder_and_stores_the_process_id(tmp_path):
    folder = tmp_path / "runs" / "one"
    assert not run_lock.is_locked(folder)
    with run_lock.locked(folder):
        assert (folder / LOCK).read_text() == f"{os.getpid()} on {socket.gethostname()}"
        assert run_lock.is_locked(folder)
    assert not run_lock.is_locked(folder)


def test_locked_leaves_no_folder_of_a_block_that_fails_before_it_writes(tmp_path):
    folder = tmp_path / "runs" / "one"
    with pytest.raises(KeyError), run_lock.locked(folder):
        raise KeyError
    assert not list(tmp_path.iterdir())
    with pytest.raises(KeyError), run_lock.locked(folder):
        (folder / "record.json").touch()
        raise KeyError
    assert {path.name for path in folder.iterdir()} == {LOCK, "record.json"}
    (folder / "record.json").unlink()
    with pytest.raises(KeyError), run_lock.locked(folder):  # it was there before
        raise KeyError
    assert folder.is_dir()


def test_locked_names_the_holder_each_time_and_ends_with_its_process(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        for _ in range(2):  # a refused process leaves the lock's content unchanged
            with (
                pytest.raises(UserError, match=rf"pid {other.pid} on .*\) is working on this run"),
                run_lock.locked(tmp_path),
            ):
                pass
        other.kill()
    with run_lock.locked(tmp_path):
        pass


def test_process_that_only_looks_is_taken_for_no_run_and_makes_no_start_fail(tmp_path):
    (tmp_path / LOCK).touch()
    with (tmp_path / LOCK).open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not run_lock.is_locked(tmp_path)
        threading.Timer(0.2, fcntl.flock, (looking, fcntl.LOCK_UN)).start()
        with run_lock.locked(tmp_path):
            assert run_lock.is_locked(tmp_path)


def test_locked_lets_errors_of_its_body_through(tmp_path):
    for error in (TimeoutError("slow"), OSError("disk")):
        with pytest.raises(type(error), match=str(error)), run_lock.locked(tmp_path):
            raise error


def test_locked_names_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"cannot be written.*--runs DIR"),
        run_lock.locked(tmp_path / "file" / "run"),
    ):
        pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_disk_without_locks_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    folder = tmp_path / "one"
    with pytest.raises(UserError, match="this disk has no locks"), run_lock.locked(folder):
        pass
    assert not run_lock.is_locked(folder)


# --- disks whose locks hold on one machine only ---------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Return a folder that pid 7 of another machine works on, whose lock is not seen here."""
    monkeypatch.setattr(heartbeat, "_BEAT_S", 0.2)
    monkeypatch.setattr(heartbeat, "_DEAD_S", 1.0)
    monkeypatch.setattr(heartbeat, "_LOOK_S", 0.05)
    (tmp_path / LOCK).write_text("7 on another-machine")
    return tmp_path


def test_process_of_another_machine_is_noticed_by_its_heartbeat(elsewhere, monkeypatch):
    ended = threading.Event()

    def beat():
        while not ended.wait(0.2):
            os.utime(elsewhere / LOCK)

    thread = threading.Thread(target=beat)
    thread.start()
    assert run_lock.is_locked(elsewhere)
    with (
        pytest.raises(UserError, match=r"pid 7 on another-machine\) is working on this run"),
        run_lock.locked(elsewhere),
    ):
        pass
    assert (elsewhere / LOCK).read_text() == "7 on another-machine"
    ended.set()
    thread.join()


def test_process_of_another_machine_is_noticed_by_one_who_may_not_write(elsewhere, monkeypatch):
    def refuse(dir):
        raise PermissionError(errno.EACCES, "no", str(dir))

    monkeypatch.setattr(heartbeat.tempfile, "TemporaryFile", refuse)
    assert heartbeat.alive_elsewhere(elsewhere / LOCK)


def test_folder_of_a_process_killed_on_another_machine_is_free_after_a_while(elsewhere, capsys):
    began = time.monotonic()
    with run_lock.locked(elsewhere):
        assert time.monotonic() > began + 0.8
        assert (elsewhere / LOCK).read_text().endswith(socket.gethostname())
    assert "pid 7 on another-machine still works on this run" in capsys.readouterr().err
    assert not run_lock.is_locked(elsewhere)


def test_lock_of_this_machine_is_believed_at_once(elsewhere):
    (elsewhere / LOCK).write_text(f"7 on {socket.gethostname()}")
    assert not run_lock.is_locked(elsewhere)


def test_heart_beats_while_the_folder_is_held(elsewhere):
    (elsewhere / LOCK).unlink()
    with run_lock.locked(elsewhere):
        before = (elsewhere / LOCK).stat().st_mtime_ns
        time.sleep(0.5)
        assert (elsewhere / LOCK).stat().st_mtime_ns > before
    assert (elsewhere / LOCK).read_text() == ""


def test_lock_that_is_a_link_is_refused_and_its_target_stays(tmp_path):
    (tmp_path / "precious").write_text("content")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match="cannot be written"), run_lock.locked(tmp_path / "run"):
        pass
    assert (tmp_path / "precious").read_text() == "content"
    assert not run_lock.is_locked(tmp_path / "run")
