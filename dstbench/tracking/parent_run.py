"""The parent run of a sweep in MLflow: the sweep's runs are its children (tag mlflow.parentRunId).

A child process follows the run folders until its standard input ends, so that a store that is down
or slow can neither stop nor delay a sweep. The runs' own mirrors send the runs; this process only
tags them. The same grid has the same parent whenever it is swept.

    python -m dstbench.tracking.parent_run        (the store: $MLFLOW_TRACKING_URI)
"""

import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypedDict

from dstbench.tracking import child_process, run_reference
from dstbench.tracking.store import Store, open_store, reason
from dstbench.tracking.store_uri import OFF, resolve

GRID = "dstbench.grid_sha256"  # tag of the parent
_PARENT = "mlflow.parentRunId"
_PAUSE_S = 3.0


class SweepMessage(TypedDict):
    """The first line that the child process gets, as JSON.

    title, sha256: of the grid.
    folders: the run folders.
    """

    title: str
    sha256: str
    folders: list[str]


class ParentRun:
    """Keeps the parent run of a sweep, from its construction until `finish`.

    title, sha256: of the grid.
    folders: the run folders of the sweep.
    uri: an MLflow store, None for the default one, 'off' for none; then nothing is done.
    log: file for the output of the child process.
    """

    def __init__(
        self, title: str, sha256: str, folders: Sequence[Path], uri: str | None, log: Path
    ):
        self.process: subprocess.Popen[bytes] | None = None
        self.log = log
        resolved = resolve(uri)
        if resolved == OFF or importlib.util.find_spec("mlflow") is None:
            return
        with suppress(OSError):
            log.parent.mkdir(parents=True, exist_ok=True)
            self.process = child_process.start(
                "dstbench.tracking.parent_run", uri=resolved, log=log
            )
        paths = [str(folder.resolve()) for folder in folders]
        self._send(json.dumps(SweepMessage(title=title, sha256=sha256, folders=paths)))

    def finish(self, outcome: str, timeout_s: float) -> str | None:
        """Set the outcome; return the parent's place, or that it is not sent yet.

        outcome: an MLflow status.
        timeout_s: how long to wait; after that the child continues alone.

        Returns None when tracking is off.
        """
        if self.process is None or self.process.stdin is None:
            return None
        self._send(outcome)
        with suppress(OSError):
            self.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            if self.process.wait(timeout_s) == 0:
                return self.log.read_text(encoding="utf-8").splitlines()[-1]
        return f"the sweep is not in MLflow yet (see {self.log})"

    def _send(self, line: str) -> None:
        if self.process is not None and self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.write(f"{line}\n".encode())
                self.process.stdin.flush()


# --- the child process --------------------------------------------------------------------------


def follow(message: SweepMessage, outcome: list[str], ended: threading.Event) -> bool:
    """Tag the runs until the sweep has ended, then once more; return whether all was sent.

    outcome: how the sweep ended, once it has; stays empty if it is killed.
    """
    store: Store | None = None
    parent, last_message = "", ""
    folders = {Path(folder) for folder in message["folders"]}  # of runs without a tag
    while True:
        last = ended.is_set()
        try:
            store = store or open_store(resolve(None))
            parent = parent or find_or_create(store, message["title"], message["sha256"])
            for folder in list(folders):
                reference = run_reference.read(folder)
                if reference is not None and reference["uri"] == store.shown:
                    _tag(store, reference["run_id"], parent)
                    folders.remove(folder)
            if last:
                store.client.set_terminated(parent, outcome[0] if outcome else "KILLED")
                print(f"sweep {store.place_of(parent)}", flush=True)
                return True
        except Exception as error:  # no error may end this process
            if (text := f"not in MLflow: {reason(error)}") != last_message:
                print(text, flush=True)
            last_message = text
            if last:
                return False
        ended.wait(_PAUSE_S)


def find_or_create(store: Store, title: str, sha256: str) -> str:
    """Return the id of the grid's parent run in the store."""
    with_tag = f"tags.`{GRID}` = '{sha256}'"
    found = store.client.search_runs([store.experiment_id], with_tag, max_results=1)
    if found:
        store.client.update_run(found[0].info.run_id, "RUNNING")
        return found[0].info.run_id
    run = store.client.create_run(store.experiment_id, tags={GRID: sha256}, run_name=title)
    return run.info.run_id


def _tag(store: Store, run_id: str, parent: str) -> None:
    """Make the run a child of the parent, unless it was deleted from the store."""
    from mlflow.exceptions import MlflowException

    try:
        store.client.set_tag(run_id, _PARENT, parent)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise


def main() -> None:
    message: SweepMessage = json.loads(sys.stdin.buffer.readline())
    outcome: list[str] = []
    child_process.follow_until_eof(
        partial(follow, message, outcome),
        receive=lambda line: outcome.append(line.decode().strip()),
        late="not in MLflow: the store took too long",
    )


if __name__ == "__main__":
    main()
