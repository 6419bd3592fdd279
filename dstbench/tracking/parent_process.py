"""The process that keeps a sweep's parent run in MLflow: the sweep's runs are its children.

It follows the run folders until its standard input ends. The runs' own mirrors send the runs; this
process only tags them. The same grid has the same parent whenever it is swept.

    python -m dstbench.tracking.parent_process    (the store: $MLFLOW_TRACKING_URI)
"""

import json
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TypedDict

from dstbench.tracking import child_process, run_reference
from dstbench.tracking.store import Store, open_store, reason
from dstbench.tracking.store_uri import resolve

GRID = "dstbench.grid_sha256"  # tag of the parent
_PARENT = "mlflow.parentRunId"  # tag of the children
_PAUSE_S = 3.0


class SweepMessage(TypedDict):
    """The first line of the standard input, as JSON.

    title, sha256: of the grid.
    folders: the run folders.
    """

    title: str
    sha256: str
    folders: list[str]


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
