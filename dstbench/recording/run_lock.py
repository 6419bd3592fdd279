"""The lock of a run's folder: one process at a time works on a run."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from dstbench.errors import UserError
from dstbench.recording import heartbeat
from dstbench.recording.file_names import LOCK
from dstbench.utils.files import held, is_held

BUSY = "is working on this run"  # in the message that another process holds a run
_PROBE_S = 1.0  # a start waits so long for processes that only look whether a run is locked


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run's folder, created if missing, for this process; the lock ends with the process.

    A block that fails before it writes anything, such as that of a refused configuration, leaves
    no folder that was not there before.

    A lock that a process of another machine left, killed a moment ago, is waited for: on some
    shared disks nothing else tells whether it still works.

    Raises UserError when another process holds it, or the folder cannot be written.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(folder / LOCK, _PROBE_S))
            if heartbeat.alive_elsewhere(folder / LOCK):
                _wait_for_another_machine(folder / LOCK)
            stack.enter_context(heartbeat.beating(folder / LOCK))
        except TimeoutError:
            raise UserError(
                f"{folder}: another process (pid {heartbeat.holder(folder / LOCK)}) {BUSY}."
            ) from None
        except OSError as error:
            raise UserError(
                f"{folder}: cannot be written ({error.strerror}). Choose another place with "
                "--runs DIR."
            ) from None
        try:
            yield
        except BaseException:
            if missing and os.listdir(folder) == [LOCK]:
                _remove(folder, missing)
            raise


def _wait_for_another_machine(path: Path) -> None:
    """Wait until a holder on another machine is known to be dead. Raises TimeoutError if not."""
    print(
        f"{path.parent}: waiting, about a minute at most, to see whether pid "
        f"{heartbeat.holder(path)} still works on this run",
        file=sys.stderr,
        flush=True,
    )
    if not heartbeat.await_silence(path):
        raise TimeoutError


def _remove(folder: Path, made: Sequence[Path]) -> None:
    """Remove a folder with nothing but its lock, and those made for it, as far as they are empty.

    made: inner folders first. A process that opens the lock at this moment is refused like this
        one: its configuration is the same.
    """
    with suppress(OSError):  # the error that led here says more
        (folder / LOCK).unlink()
        for path in made:
            path.rmdir()


def is_locked(folder: Path) -> bool:
    """Return whether a process is working on the run in a folder."""
    path = folder / LOCK
    try:
        return is_held(path) or heartbeat.alive_elsewhere(path)
    except (OSError, UserError):  # no lock there, or a run there reports what is wrong
        return False
