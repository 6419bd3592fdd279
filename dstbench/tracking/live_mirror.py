"""Run directories to MLflow: while a run lasts, from a process of its own, and afterwards.

The run directory is the truth and MLflow a mirror of it. The training process only starts the
mirror's process (watch.py) and, at the end, waits for it a while: a store that is dead, slow or
locked can neither stop nor stall a run, and `sync` replays what it missed.
"""

import importlib.util
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dstbench.errors import UserError
from dstbench.records.file_names import MIRROR_LOG, MLFLOW_RUN, RECORD
from dstbench.records.provenance import without_password
from dstbench.tracking.store import open_store, probe, reason
from dstbench.tracking.store_uri import OFF, resolve

_ABSENT = "MLflow is not installed"
# The folder that a run is started in may hold a random.py: -P keeps it off the import path. Where
# that folder is a checkout that nobody installed, the package is found by its own place.
_WATCH = (
    "import runpy, sys; root = sys.argv.pop(1); root in sys.path or sys.path.insert(0, root); "
    "runpy.run_module('dstbench.tracking.mirror_process', run_name='__main__', alter_sys=True)"
)


class Mirror:
    """Mirrors one run directory from a process of its own, from now until `finish`.

    uri: an MLflow store, None for the default one, 'off' for none.

    The process sees its standard input end when the run finishes or dies, however that happens;
    it then makes a last pass and leaves. What it has to say goes to mirror.log.
    """

    def __init__(self, folder: Path, uri: str | None = None):
        self.folder, self.given = folder, uri
        self.idle: str | None = None  # why nothing is mirrored
        try:
            resolved = resolve(uri)
        except UserError as error:
            self.idle = f"not mirrored: {error.message}"
            return
        if resolved == OFF:
            self.idle = OFF
        elif importlib.util.find_spec("mlflow") is None:
            self.idle = f"{OFF} ({_ABSENT})"
        if self.idle is not None:
            return
        try:
            with (folder / MIRROR_LOG).open("ab") as log:
                root = Path(__file__).parents[2]
                self.process = subprocess.Popen(
                    [sys.executable, "-P", "-c", _WATCH, str(root), str(folder)],
                    # Not an argument: an address may hold a password, and `ps` shows arguments.
                    env={**os.environ, "MLFLOW_TRACKING_URI": resolved},
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C in the terminal is not for it
                )
        except OSError as error:
            self.idle = f"{self._later()} (cannot be started: {error.strerror or error})"

    def finish(self, timeout_s: float) -> str:
        """Ask for the last pass, wait for it at most so long, and say what came of it.

        The record is to be in its final state. A mirror that is not done in time goes on alone.
        """
        if self.idle is not None:
            return self.idle
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            complete = self.process.wait(timeout_s) == 0
        except subprocess.TimeoutExpired:
            complete = False
        if complete and (place := _known_place(self.folder)):
            return place
        return f"{self._later()} (why: {self.folder / MIRROR_LOG})"

    def _later(self) -> str:
        store = f" --tracking {shlex.quote(without_password(self.given))}" if self.given else ""
        return f"not mirrored yet; later: dstbench sync {shlex.quote(str(self.folder))}{store}"


def mirrored_to(folder: Path) -> str:
    """Where a run directory was mirrored to, as far as is known."""
    later = f"not mirrored; to do so: dstbench sync {shlex.quote(str(folder))}"
    return _known_place(folder) or later


def _known_place(folder: Path) -> str | None:
    """The place in the store that the last pass noted, if one did."""
    with suppress(OSError, ValueError, KeyError):
        return json.loads((folder / MLFLOW_RUN).read_bytes())["place"]
    return None


@dataclass(frozen=True)
class Outcome:
    """What `sync` came to for one run directory; complete: the store lacks nothing of it now."""

    folder: Path
    line: str
    complete: bool


def sync(folders: Sequence[Path], uri: str | None = None) -> list[Outcome]:
    """Send to the store what it lacks of each run directory; one that fails stops no other.

    Raises UserError when there is no store to send to, or MLflow is not installed.
    """
    uri = resolve(uri)
    if uri == OFF:
        raise UserError("Tracking is off, so there is no store to send to. Name one: --tracking.")
    if importlib.util.find_spec("mlflow") is None:
        raise UserError(f"{_ABSENT}: pip install mlflow")
    from dstbench.tracking.upload import mirror

    try:
        store = open_store(uri)
    except Exception as error:
        return [Outcome(folder, f"not sent: {reason(error)}", False) for folder in folders]
    outcomes = []
    for folder in folders:
        if not (folder / RECORD).is_file():
            what = f"holds no {RECORD}" if folder.is_dir() else "no such folder"
            outcomes.append(Outcome(folder, f"not sent: {what}", False))
            continue
        try:
            done = mirror(folder, store)
        except Exception as error:
            outcomes.append(Outcome(folder, f"not sent: {reason(error)}", False))
            continue
        sent = f"sent {done.epochs} epochs and {done.artifacts} files"
        line = sent if done.epochs or done.artifacts else "nothing was missing"
        outcomes.append(Outcome(folder, f"{line}; {done.place}", True))
    return outcomes


def check(uri: str | None) -> tuple[bool, str]:
    """Whether the store can be used, and a line about it; takes seconds at most."""
    try:
        uri = resolve(uri)
    except UserError as error:
        return False, error.message
    try:
        return True, probe(uri)
    except UserError as error:
        return False, f"{error.message} Runs go on without it; `dstbench sync` replays them."
