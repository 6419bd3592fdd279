"""A heartbeat beside a lock: tells machines that share a disk, but not its locks, who is at work.

On some shared disks a lock holds on one machine only (Lustre with `localflock`, BeeGFS by default).
So the holder writes its machine's name into the lock's file and touches the file regularly; a
process of another machine that finds the lock free looks whether that goes on. All times are those
of the disk's server, so the machines' clocks do not matter.
"""

import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_BEAT_S = 30.0
_DEAD_S = 75.0  # without a beat; disks tell others of a change within seconds, not at once
_LOOK_S = 1.0


@contextmanager
def beating(path: Path) -> Iterator[None]:
    """Write who is at work into a lock's file and touch it regularly, until the block ends."""
    path.write_text(f"{os.getpid()} on {socket.gethostname()}")
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_BEAT_S):
            with suppress(OSError):  # a disk that is away for a moment ends no run
                os.utime(path)

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        with suppress(OSError):
            path.write_text("")


def holder(path: Path) -> str:
    """Return who is, or was, at work according to a lock's file: 'PID on MACHINE'."""
    try:
        return path.read_text(errors="replace").strip() or "unknown"
    except OSError:
        return "unknown"


def alive_elsewhere(path: Path) -> bool:
    """Return whether a process of another machine may still be at work: its heart beat lately."""
    _, on, machine = holder(path).partition(" on ")
    if not on or machine == socket.gethostname():
        return False  # this machine's lock says more
    try:
        return _now(path.parent) - path.stat().st_mtime < _DEAD_S
    except OSError:  # the lock is gone
        return False


def _now(folder: Path) -> float:
    """Return the time of a folder's disk; of this machine where nothing can be written there."""
    with suppress(OSError), tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime
    return time.time()


def await_silence(path: Path) -> bool:
    """Wait while a process of another machine may be at work; return whether none is.

    Returns False at once when its heart beats meanwhile.
    """
    before = path.stat().st_mtime_ns
    while alive_elsewhere(path):
        if path.stat().st_mtime_ns != before:
            return False
        time.sleep(_LOOK_S)
    return True
