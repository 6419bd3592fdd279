"""A sweep in MLflow: one parent run, to which its runs belong (tag mlflow.parentRunId).

As the mirror of a run, it works in a process of its own, which follows the run folders until its
standard input ends: a store that is dead or slow can neither stop nor stall a sweep. Each run's own
mirror sends the run; here it only gets its tag. The same grid again goes on in the same parent.

    python -m dstbench.tracking.parent_run        (the store: $MLFLOW_TRACKING_URI)
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dstbench.records.file_names import MLFLOW_RUN
from dstbench.tracking.store import Store, open_store, reason
from dstbench.tracking.store_uri import OFF, resolve
from dstbench.utils.processes import environment, python

GRID = "dstbench.grid_sha256"  # tag of the parent
_PARENT = "mlflow.parentRunId"
_PAUSE_S = 3.0
_LINGER_S = 60.0  # how long the last look may take


class Family:
    """Starts the process that follows the runs, and tells it how the sweep ended.

    uri: an MLflow store, None for the default one, 'off' for none: then nothing is done at all.
    log: file for what the process has to say.
    """

    def __init__(
        self, title: str, sha256: str, folders: Sequence[Path], uri: str | None, log: Path
    ):
        self.process: subprocess.Popen | None = None
        self.log = log
        resolved = resolve(uri)
        if resolved == OFF or importlib.util.find_spec("mlflow") is None:
            return
        with suppress(OSError):
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as file:
                self.process = subprocess.Popen(
                    python("dstbench.tracking.parent_run"),
                    env=environment(MLFLOW_TRACKING_URI=resolved),
                    stdin=subprocess.PIPE,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                )
        self._tell({
            "title": title, "sha256": sha256, "folders": [str(f.resolve()) for f in folders]
        })  # fmt: skip

    def finish(self, outcome: str, timeout_s: float) -> str | None:
        """Note the outcome, an MLflow status; where the parent is, or why it is not, in a while."""
        if self.process is None or self.process.stdin is None:
            return None
        self._tell({"outcome": outcome})
        with suppress(OSError):
            self.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            if self.process.wait(timeout_s) == 0:
                return self.log.read_text(encoding="utf-8").splitlines()[-1]
        return f"the sweep is not in MLflow yet (why: {self.log})"

    def _tell(self, message: dict[str, Any]) -> None:
        if self.process is not None and self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.write(json.dumps(message).encode() + b"\n")
                self.process.stdin.flush()


# --- the process --------------------------------------------------------------------------------


def follow(message: dict[str, Any], ended: threading.Event, outcome: list[str]) -> bool:
    """Tag the runs until the sweep has ended, then once more; whether all could be sent.

    outcome: how the sweep ended, once it has; nothing when it was killed.
    """
    store: Store | None = None
    parent, said = "", ""
    folders = {Path(folder) for folder in message["folders"]}  # whose runs have no tag yet
    while True:
        last = ended.is_set()
        try:
            store = store or open_store(resolve(None))
            parent = parent or parent_run(store, message["title"], message["sha256"])
            for folder in list(folders):
                if (run_id := _known(folder, store)) is not None:
                    _adopt(store, run_id, parent)
                    folders.remove(folder)
            if last:
                store.client.set_terminated(parent, outcome[0] if outcome else "KILLED")
                print(f"sweep {store.place_of(parent)}", flush=True)
                return True
        except Exception as error:
            if (saying := reason(error)) != said:
                print(f"not in MLflow: {saying}", flush=True)
            said = saying
            if last:
                return False
        ended.wait(_PAUSE_S)


def parent_run(store: Store, title: str, sha256: str) -> str:
    """The id of the run that stands for the sweep, found again by its grid or created."""
    with_tag = f"tags.`{GRID}` = '{sha256}'"
    found = store.client.search_runs([store.experiment_id], with_tag, max_results=1)
    if found:
        store.client.update_run(found[0].info.run_id, "RUNNING")
        return found[0].info.run_id
    run = store.client.create_run(store.experiment_id, tags={GRID: sha256}, run_name=title)
    return run.info.run_id


def _known(folder: Path, store: Store) -> str | None:
    """The run's id in this store, if its own mirror has noted it yet."""
    try:
        known = json.loads((folder / MLFLOW_RUN).read_bytes())
        return known["run_id"] if known["uri"] == store.shown else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _adopt(store: Store, run_id: str, parent: str) -> None:
    """Make the run a child of the parent; one that was deleted from the store stays deleted."""
    from mlflow.exceptions import MlflowException

    try:
        store.client.set_tag(run_id, _PARENT, parent)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(10)
    message = json.loads(sys.stdin.readline())
    ended, outcome = threading.Event(), []

    def heed() -> None:
        for line in sys.stdin:
            outcome.append(json.loads(line)["outcome"])
        ended.set()
        time.sleep(_LINGER_S)
        print("not in MLflow: the store took too long", flush=True)
        os._exit(1)

    threading.Thread(target=heed, daemon=True).start()
    sys.exit(0 if follow(message, ended, outcome) else 1)


if __name__ == "__main__":
    main()
