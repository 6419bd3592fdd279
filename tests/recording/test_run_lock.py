"""The lock of a run's folder."""

import os
import subprocess
import sys

import pytest

from dstbench.errors import UserError
from dstbench.recording import run_lock
from dstbench.recording.file_names import LOCK

HOLD = """
import pathlib, sys, time
from dstbench.recording import run_lock
with run_lock.locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(300)
"""


def test_locked_creates_the_folder_and_stores_the_process_id(tmp_path):
    folder = tmp_path / "runs" / "one"
    assert not run_lock.is_locked(folder)
    with run_lock.locked(folder):
        assert (folder / LOCK).read_text() == str(os.getpid())
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
                pytest.raises(UserError, match=rf"pid {other.pid}\) is working on this run"),
                run_lock.locked(tmp_path),
            ):
                pass
        other.kill()
    with run_lock.locked(tmp_path):
        pass


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
