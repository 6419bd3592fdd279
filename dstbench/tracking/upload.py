"""One pass of a run directory into MLflow: what the store lacks is sent, and nothing twice.

The store itself is asked what it has, so a pass may be cut off anywhere and repeated: a run is
found again by its configuration and attempt, an epoch is there once its metric `epoch` is, and a
tag holds the digests of the artifacts sent. Metrics carry the time of their epoch, so what is left
of an epoch cut in two is completed with rows that the store knows to be the same. `mlflow.json` in
the run directory only saves a search.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dstbench.records.file_names import (
    BEST_NETWORK,
    CONFIG,
    CURVES,
    FINAL_NETWORK,
    MIRROR_LOCK,
    MLFLOW_RUN,
    RECORD,
)
from dstbench.records.record import read
from dstbench.records.types import Record, Status
from dstbench.tracking import mlflow_terms
from dstbench.tracking.store import Store
from dstbench.utils.files import held, write_atomic

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

ARTIFACTS = (RECORD, CONFIG, CURVES, FINAL_NETWORK, BEST_NETWORK)

_STATUS: dict[Status, str] = {"running": "RUNNING", "interrupted": "KILLED", "finished": "FINISHED",
           "diverged": "FAILED", "failed": "FAILED"}  # fmt: skip
_SENT = "dstbench.artifacts"  # tag: name → sha256 of what was sent
_METRICS_A_CALL, _PARAMS_A_CALL = 1000, 100  # MLflow's limits
_LOCK_S = 30  # how long to wait for another pass over the same directory


@dataclass(frozen=True)
class Mirrored:
    """What a pass came to: where the run is, and how many epochs and artifacts it sent."""

    run_id: str
    place: str
    epochs: int
    artifacts: int


def mirror(folder: Path, store: Store) -> Mirrored:
    """Send to the store what it lacks of one run directory.

    Artifacts are sent when the run is at rest, checkpoints never. Passes over the same directory
    take turns. Raises UserError for a record that cannot be read, TimeoutError when another pass
    does not end, and whatever MLflow does when the store fails; what was sent by then stays, and
    the next pass goes on from there.
    """
    folder = folder.resolve()
    with held(folder / MIRROR_LOCK, _LOCK_S):
        record = read(folder / RECORD)  # before the curves: at rest, it then speaks for all of them
        run = _known_run(folder, record, store) or _found_run(folder, record, store)
        _send_tags(store, run, mlflow_terms.tags(record))
        _send_params(store, run, mlflow_terms.params(record["config"]["text"]))
        epochs = _send_curves(store, run, folder / CURVES)
        if record["status"] == "finished":
            lacking = [
                r for r in mlflow_terms.result_rows(record) if r.name not in run.data.metrics
            ]
            _send_metrics(store, run, [lacking])
        artifacts = _send_artifacts(store, run, folder) if record["status"] != "running" else 0
        _send_status(store, run, record)
    return Mirrored(run.info.run_id, store.place_of(run.info.run_id), epochs, artifacts)


# --- which run it is in the store -----------------------------------------------------------------


def _identity(record: Record, store: Store) -> dict[str, str]:
    attempt = record["provenance"]["attempt"]
    return {"uri": store.shown, "experiment_id": store.experiment_id, "attempt": attempt}


def _known_run(folder: Path, record: Record, store: Store) -> "MlflowRun | None":
    """The run that an earlier pass noted, if it is about this attempt and the store has it."""
    from mlflow.exceptions import MlflowException

    try:
        known = json.loads((folder / MLFLOW_RUN).read_bytes())
        run_id = known.pop("run_id")
        known.pop("place")
    except (OSError, ValueError, KeyError, AttributeError):  # none, or not as we write it
        return None
    if known != _identity(record, store):
        return None
    try:
        run = store.client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return run if run.info.lifecycle_stage == "active" else None


def _found_run(folder: Path, record: Record, store: Store) -> "MlflowRun":
    """The run of this attempt that the store has, or a new one; noted for the next pass."""
    tags = mlflow_terms.tags(record)
    found = store.client.search_runs(
        [store.experiment_id],
        " and ".join(
            f"tags.`{key}` = '{tags[key]}'" for key in (mlflow_terms.HASH, mlflow_terms.ATTEMPT)
        ),
        max_results=1,
    )
    if found:
        run = found[0]
    else:
        started = mlflow_terms.milliseconds(record["provenance"]["started"])
        run = store.client.create_run(store.experiment_id, started, tags, folder.name)
    known = {"run_id": run.info.run_id, "place": store.place_of(run.info.run_id)}
    text = json.dumps(_identity(record, store) | known, indent=1)
    write_atomic(folder / MLFLOW_RUN, text.encode())
    return run


# --- sending what it lacks ------------------------------------------------------------------------


def _send_tags(store: Store, run: "MlflowRun", tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    lacking = [RunTag(name, value) for name, value in tags.items()
               if run.data.tags.get(name) != value]  # fmt: skip
    if lacking:
        store.client.log_batch(run.info.run_id, tags=lacking)


def _send_params(store: Store, run: "MlflowRun", params: Mapping[str, str]) -> None:
    from mlflow.entities import Param

    lacking = [Param(name, value) for name, value in params.items() if name not in run.data.params]
    for start in range(0, len(lacking), _PARAMS_A_CALL):
        some = lacking[start : start + _PARAMS_A_CALL]
        store.client.log_batch(run.info.run_id, params=some)


def _send_curves(store: Store, run: "MlflowRun", path: Path) -> int:
    """Send the epochs that the store lacks; how many those were."""
    if not path.exists():
        return 0
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    there = {
        row.step for row in store.client.get_metric_history(run.info.run_id, mlflow_terms.EPOCH)
    }
    lacking = [line for line in lines if line[mlflow_terms.EPOCH] not in there]
    _send_metrics(store, run, (mlflow_terms.epoch_rows(line) for line in lacking))
    return len(lacking)


def _send_metrics(store: Store, run: "MlflowRun", epochs: Iterable[list[mlflow_terms.Row]]) -> None:
    from mlflow.entities import Metric

    for batch in mlflow_terms.batches(epochs, _METRICS_A_CALL):
        store.client.log_batch(run.info.run_id, metrics=[Metric(*row) for row in batch])


def _send_artifacts(store: Store, run: "MlflowRun", folder: Path) -> int:
    """Send the files that the store has not, or not as they are now; how many those were."""
    here = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ARTIFACTS
        if (folder / name).exists()
    }
    there = json.loads(run.data.tags.get(_SENT, "{}"))
    lacking = [name for name, digest in here.items() if there.get(name) != digest]
    for name in lacking:
        store.client.log_artifact(run.info.run_id, str(folder / name))
    if lacking:
        store.client.set_tag(run.info.run_id, _SENT, json.dumps(here))
    return len(lacking)


def _send_status(store: Store, run: "MlflowRun", record: Record) -> None:
    status = _STATUS[record["status"]]
    if status == "RUNNING":
        if run.info.status != status:  # gone on with after an interruption
            store.client.update_run(run.info.run_id, status)
        return
    provenance = record["provenance"]
    ended = mlflow_terms.milliseconds(provenance["ended"] or provenance["started"])
    if (run.info.status, run.info.end_time) != (status, ended):
        store.client.set_terminated(run.info.run_id, status, ended)
