"""Whole writes and locks, with real failures: a full device, a missing folder, a killed process."""

import errno
import hashlib
import os
import stat
import subprocess
import sys
import time

import pytest

from dstbench.errors import UserError
from dstbench.utils.files import (
    atomic_file,
    content_of,
    held,
    make_folder,
    remove_leftovers,
    remove_old_leftovers,
    sha256_of,
    write_atomic,
)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "record.json"
    write_atomic(path, b"one")
    write_atomic(path, memoryview(b"two"))
    assert path.read_bytes() == b"two"
    assert names(tmp_path) == ["record.json"]


def test_others_may_read_what_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        write_atomic(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_the_system_refuses_is_said_and_undone(tmp_path, monkeypatch, number, step):
    path = tmp_path / "record.json"
    write_atomic(path, b"old")

    def refuse(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(UserError, match=r"record\.json: cannot be written") as error:
        write_atomic(path, b"new")
    assert os.strerror(number) in error.value.message
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["record.json"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone/record\.json: cannot be written"):
        write_atomic(tmp_path / "gone" / "record.json", b"x")


def test_ctrl_c_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "file", b"x")
    assert names(tmp_path) == []


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, b"old")
    code = (
        "import os, pathlib, signal, dstbench.utils.files as files\n"
        "files.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"files.write_atomic(pathlib.Path({str(path)!r}), b'new')"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert path.read_bytes() == b"old"
    assert len(names(tmp_path)) == 2
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["file"]


def test_two_writers_of_one_file_do_not_mix_and_a_failing_one_changes_nothing(tmp_path):
    path = tmp_path / "file"
    with atomic_file(path) as one, atomic_file(path) as other:
        for piece in (b"a", b"b"):
            one.write(piece)
            other.write(2 * piece)
    assert path.read_bytes() == b"ab"
    with pytest.raises(KeyError), atomic_file(path) as file:
        file.write(b"half")
        raise KeyError
    assert path.read_bytes() == b"ab" and names(tmp_path) == ["file"]


def test_leftovers_of_a_shared_folder_are_removed_after_a_day(tmp_path):
    for name in (".a.images.1234.tmp", ".b.images.5678.tmp", ".theirs.1234.tmp", "a.images"):
        (tmp_path / name).touch()
        if not name.startswith(".b"):
            os.utime(tmp_path / name, (time.time() - 90_000,) * 2)
    remove_old_leftovers(tmp_path, "*.images")
    assert names(tmp_path) == [".b.images.5678.tmp", ".theirs.1234.tmp", "a.images"]


def test_one_holder_at_a_time_and_a_killed_one_lets_go(tmp_path):
    lock = tmp_path / "lock"
    code = (
        "import pathlib, time, dstbench.utils.files as files\n"
        f"with files.held(pathlib.Path({str(lock)!r}), 0):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="another process"), held(lock, 0.2):
            pass
        assert time.monotonic() - began >= 0.2
        other.kill()
    with held(lock, 5):
        pass


def test_content_is_none_without_a_file_and_one_message_where_it_cannot_be_read(tmp_path):
    path = tmp_path / "file"
    assert content_of(path) is None
    path.write_bytes(b"abc")
    assert content_of(path) == b"abc"
    assert sha256_of(path) == hashlib.sha256(b"abc").hexdigest()
    for wrong in (tmp_path, path / "below"):
        with pytest.raises(UserError, match="cannot be read"):
            content_of(wrong)


def test_folder_below_a_file_cannot_be_made(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="cannot be made"):
            make_folder(wrong)
