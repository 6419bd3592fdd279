"""The mirror's own process: follows one run directory into MLflow until the run ends.

    python -m dstbench.tracking.mirror_process RUN_DIR        (the store: $MLFLOW_TRACKING_URI)

Its standard input is a pipe from the training process, which ends when that process finishes or
dies. Exit code 0: the store lacks nothing.
"""

import argparse
import os
import signal
import sys
import threading
import time
from pathlib import Path

from dstbench.records.file_names import CURVES, RECORD
from dstbench.tracking.store import Store, open_store, probe, reason
from dstbench.tracking.store_uri import resolve
from dstbench.tracking.upload import mirror

_LOOK_S = 0.5  # between two looks at the run directory
_PAUSE_S = 5.0  # after a pass
_RETRY_S = 5.0  # after a pass that failed, twice as long after each further one
_RETRY_MOST_S = 60.0
_LINGER_S = 60.0  # how long the last pass may take


class Watch:
    """Passes over one run directory, each when there is something new and the store allows."""

    def __init__(self, folder: Path, uri: str):
        self.folder, self.uri = folder, uri
        self.store: Store | None = None
        self.mirrored: tuple[int, ...] = ()  # as the run directory was at the last good pass
        self.failures = 0
        self.next_pass = 0.0
        self.said = ""

    def follow(self, run_ended: threading.Event) -> bool:
        """Mirror until the run ends, then once more; whether the store lacks nothing then."""
        while not run_ended.wait(_LOOK_S):
            if time.monotonic() >= self.next_pass:
                self.catch_up()
        answered = self.failures == 0 and self.mirrored != ()
        # What answered until now may be busy for a moment; what is dead is not waited for twice.
        return self.catch_up() or (answered and self.catch_up())

    def catch_up(self) -> bool:
        """One pass, if anything is new. Nothing that goes wrong in it may end this process."""
        found = self._stamp()
        if found == self.mirrored:
            return True
        try:
            probe(self.uri)
            self.store = self.store or open_store(self.uri)
            done = mirror(self.folder, self.store)
        except Exception as error:
            self._say(f"not mirrored: {reason(error)}")
            self.failures += 1
            wait = min(_RETRY_S * 2 ** (self.failures - 1), _RETRY_MOST_S)
            self.next_pass = time.monotonic() + wait
            return False
        self._say(f"mirrored: {done.place}")
        self.mirrored, self.failures = found, 0
        self.next_pass = time.monotonic() + _PAUSE_S
        return True

    def _stamp(self) -> tuple[int, ...]:
        """Changes when the run directory does; empty while there is no record."""
        record, curves = (_modified(self.folder / name) for name in (RECORD, CURVES))
        return (record, curves) if record else ()

    def _say(self, what: str) -> None:
        if what != self.said:
            print(time.strftime("%Y-%m-%d %H:%M:%S"), what, flush=True)
            self.said = what


def _modified(path: Path) -> int:
    """When a file was written, in ns; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def heed_run(ended: threading.Event) -> None:
    """Set `ended` when standard input ends; some time later leave, whatever is being waited for."""
    sys.stdin.buffer.read()
    ended.set()
    time.sleep(_LINGER_S)
    print("not mirrored: the store took too long", flush=True)
    os._exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="dstbench.tracking.mirror_process")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    # What stops the run must not stop the mirror before it has seen the run's end.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(10)  # the run comes first
    ended = threading.Event()
    threading.Thread(target=heed_run, args=(ended,), daemon=True).start()
    sys.exit(0 if Watch(folder, resolve(None)).follow(ended) else 1)


if __name__ == "__main__":
    main()
