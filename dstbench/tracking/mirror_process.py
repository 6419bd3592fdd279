"""The child process of a live mirror: uploads one run folder until the run ends.

    python -m dstbench.tracking.mirror_process RUN_DIR        (the store: $MLFLOW_TRACKING_URI)

Exit code 0: the store lacks nothing.
"""

import argparse
import threading
import time
from pathlib import Path

from dstbench.recording.file_names import CURVES, RECORD
from dstbench.tracking.child_process import follow_until_eof
from dstbench.tracking.store import Store, open_store, probe, reason
from dstbench.tracking.store_uri import resolve
from dstbench.tracking.upload import upload

_POLL_S = 0.5  # between two checks of the run folder
_PAUSE_S = 5.0  # after a pass
_RETRY_S = 5.0  # after a failed pass; doubled after each further one
_MAX_RETRY_S = 60.0


class FolderMirror:
    """Uploads one run folder repeatedly, whenever it has changed and the store is available.

    folder: the run folder.
    uri: address of the store.
    """

    def __init__(self, folder: Path, uri: str):
        self.folder, self.uri = folder, uri
        self.store: Store | None = None
        self.mirrored: tuple[int, ...] = ()  # the folder's time stamp at the last good pass
        self.failures = 0
        self.next_pass = 0.0
        self.last_message = ""

    def follow(self, run_ended: threading.Event) -> bool:
        """Mirror until the run ends, then once more; return whether the store lacks nothing."""
        while not run_ended.wait(_POLL_S):
            if time.monotonic() >= self.next_pass:
                self.catch_up()
        answered = self.failures == 0 and self.mirrored != ()
        # A store that answered before may only be busy, so it gets a second try.
        return self.catch_up() or (answered and self.catch_up())

    def catch_up(self) -> bool:
        """Make a pass if anything changed; return whether the store lacks nothing."""
        found = self._stamp()
        if found == self.mirrored:
            return True
        try:
            probe(self.uri)
            self.store = self.store or open_store(self.uri)
            done = upload(self.folder, self.store)
        except Exception as error:  # no error may end this process
            self._report(f"not mirrored: {reason(error)}")
            self.failures += 1
            wait = min(_RETRY_S * 2 ** (self.failures - 1), _MAX_RETRY_S)
            self.next_pass = time.monotonic() + wait
            return False
        self._report(f"mirrored: {done.place}")
        self.mirrored, self.failures = found, 0
        self.next_pass = time.monotonic() + _PAUSE_S
        return True

    def _stamp(self) -> tuple[int, ...]:
        """Return a value that changes with the run folder; empty while there is no record."""
        record, curves = (_modified(self.folder / name) for name in (RECORD, CURVES))
        return (record, curves) if record else ()

    def _report(self, message: str) -> None:
        """Print a message, unless it is the same as the last one."""
        if message != self.last_message:
            print(time.strftime("%Y-%m-%d %H:%M:%S"), message, flush=True)
            self.last_message = message


def _modified(path: Path) -> int:
    """Return when a file was written, in ns; 0 if there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="dstbench.tracking.mirror_process")
    parser.add_argument("folder", type=Path)
    mirror = FolderMirror(parser.parse_args().folder, resolve(None))
    late = "not mirrored: the store took too long"
    follow_until_eof(mirror.follow, receive=lambda line: None, late=late)


if __name__ == "__main__":
    main()
