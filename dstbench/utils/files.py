"""Files that are whole or not there, and folders that one process holds at a time.

Standard library only. What the operating system refuses (a full disk, a read-only folder) becomes
one clear message.
"""

import errno
import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from dstbench.errors import UserError

try:
    import fcntl
except ImportError:
    raise UserError(
        "dstbench needs a POSIX system, such as Linux or macOS, for its locks and signals. On "
        "Windows, use it in WSL."
    ) from None

_POLL_S = 0.05
_ABANDONED_S = 24 * 3600  # without a change, a file that is being written has lost its writer
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write; after a crash at any moment `path` is the old file or the new one.

    The file is a temporary one in the same folder, which is flushed to the disk and renamed when
    the block ends; the rename is flushed too. Several processes, also of several machines, may
    write the same path; the last one wins. A block that fails leaves `path` as it was and no
    temporary file.

    Raises OSError when the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        _unlink_if_possible(temporary)
        raise
    _sync_folder(path.parent)


def write_atomic(path: Path, data: bytes | memoryview) -> None:
    """Write `data` to `path` by `atomic_file`.

    Raises UserError when that fails.
    """
    try:
        with atomic_file(path) as file:
            file.write(data)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}). Make room or get permission "
            "there, or choose another folder."
        ) from None


def content_of(path: Path) -> bytes | None:
    """Return the content of a file, None where there is none. Raises UserError if that fails."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror or error}). It has to be a file that this "
            "user may read."
        ) from None


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content, hex. Raises OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_folder(folder: Path) -> None:
    """Create a folder and those above it, unless they exist. Raises UserError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be made ({error.strerror or error}). Get permission there, or "
            "choose another folder."
        ) from None


def is_own_file(path: Path) -> bool:
    """Return whether a path is a file itself, and no link to one outside its folder."""
    return path.is_file() and not path.is_symlink()


def remove_leftovers(folder: Path) -> None:
    """Delete temporary files of writers that were killed.

    Only for who holds the folder alone: it cannot tell a dead writer from a slow one.
    """
    for leftover in folder.glob(".*.tmp"):
        _unlink_if_possible(leftover)


def remove_old_leftovers(folder: Path, names: str) -> None:
    """Delete temporary files of files called `names` that nobody has written to for a day.

    For a folder that several processes write to. names: a pattern, such as `*.images`.
    """
    for leftover in folder.glob(f".{names}.*.tmp"):
        with suppress(OSError):  # another process deletes it as well
            if time.time() - leftover.stat().st_mtime > _ABANDONED_S:
                leftover.unlink()


@contextmanager
def held(path: Path, wait_s: float) -> Iterator[TextIO]:
    """Hold the lock file `path`, created if missing, and yield it open; its content is kept.

    The lock ends with the process, however it ends. The system's flock is used directly: the
    `filelock` library truncates the file of another holder (before version 4), and where a file
    system has no flock it falls back to a marker file, which outlives a killed process.

    wait_s: how long to wait for another process, s.

    Raises TimeoutError when another process still holds it then, OSError when the file cannot be
    opened, and UserError on a file system without locks.
    """
    with open(path, "a+", opener=_open_no_link) as file:
        deadline = time.monotonic() + wait_s
        while not _lock(path, file, fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{path}: another process holds it")
            time.sleep(_POLL_S)
        yield file


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock file `path` by `held`.

    The lock is taken for a moment, shared, so that two processes that ask do not see each other. A
    process that wants to hold the file at that moment has to try again.

    Raises OSError when the file is missing or cannot be opened, and UserError on a file system
    without locks.
    """
    with open(path, opener=_open_no_link) as file:
        return not _lock(path, file, fcntl.LOCK_SH)


def _lock(path: Path, file: TextIO, kind: int) -> bool:
    """Lock an open file until it is closed; return whether no other process was in the way.

    kind: LOCK_EX, or LOCK_SH.
    """
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise UserError(
            f"{path}: this disk has no locks ({error.strerror}), without which two processes could "
            "work on one folder. Choose another folder, or mount the disk with locks, such as "
            "Lustre with -o flock."
        ) from None
    return True


def _open_no_link(path: str, flags: int) -> int:
    # A link would be followed to a file that is somebody else's.
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _sync_folder(folder: Path) -> None:
    # Not every file system can do this. Without it a power cut may bring the old file back, whole.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _unlink_if_possible(path: Path) -> None:
    with suppress(OSError):  # the error that led here says more
        path.unlink(missing_ok=True)
