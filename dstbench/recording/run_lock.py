"""The lock of a run's folder: one process at a time works on a run."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dstbench.errors import UserError
from dstbench.recording.file_names import LOCK
from dstbench.utils.files import held


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run's folder, created if missing, for this process; the lock ends with the process.

    Raises UserError when another process holds it, or the folder cannot be written.
    """
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(held(folder / LOCK, 0))
        except TimeoutError:
            holder = (folder / LOCK).read_text().strip() or "unknown"
            raise UserError(
                f"{folder}: another process (pid {holder}) is working on this run."
            ) from None
        except OSError as error:
            raise UserError(
                f"{folder}: cannot be written ({error.strerror}). Choose another place with "
                "--runs DIR."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_locked(folder: Path) -> bool:
    """Return whether a process is working on the run in a folder."""
    path = folder / LOCK
    try:
        if path.exists():
            with held(path, 0):
                pass
    except TimeoutError:
        return True
    except OSError:  # a run there reports what is wrong
        pass
    return False
