"""One pass: uploads to MLflow what it lacks of a run folder, and nothing twice.

The store is asked what it has, so a pass may be interrupted anywhere and repeated. A run is found
by its configuration and attempt. An epoch is complete once its metric `epoch` exists. A tag holds
the digests of the artifacts sent. Metrics carry the time of their epoch, so the rest of an
incomplete epoch is sent with rows that the store recognises as the same. The run folder's
mlflow.json only saves a search.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dstbench.recording.curves import read_curves
from dstbench.recording.file_names import (
    BEST_NETWORK,
    BEST_WEIGHTS,
    CONFIG,
    CURVES,
    FINAL_NETWORK,
    FINAL_WEIGHTS,
    MIRROR_LOCK,
    RECORD,
)
from dstbench.recording.record import read
from dstbench.recording.types import EpochLine, Record, Status
from dstbench.tracking import mlflow_terms, run_reference
from dstbench.tracking.run_reference import RunReference
from dstbench.tracking.store import Store
from dstbench.utils.files import held, is_own_file, sha256_of

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

ARTIFACTS = (
    RECORD,
    CONFIG,
    CURVES,
    FINAL_NETWORK,
    BEST_NETWORK,
    FINAL_WEIGHTS,
    BEST_WEIGHTS,
)

_STATUS: dict[Status, str] = {  # of a record → of MLflow
    "running": "RUNNING",
    "interrupted": "KILLED",
    "finished": "FINISHED",
    "diverged": "FAILED",
    "failed": "FAILED",
}
_SENT = "dstbench.artifacts"  # tag: name → sha256 of what was sent
_METRICS_PER_CALL, _PARAMS_PER_CALL = 1000, 100  # MLflow's limits
_LOCK_S = 30  # how long to wait for another pass over the same folder


@dataclass(frozen=True)
class Upload:
    """The result of a pass.

    run_id: MLflow's id of the run.
    place: where a person finds it.
    epochs, artifacts: how many were sent.
    """

    run_id: str
    place: str
    epochs: int
    artifacts: int


def upload(folder: Path, store: Store) -> Upload:
    """Send to the store what it lacks of one run folder.

    Artifacts are sent when no session is running; checkpoints and links are never sent. Passes
    over the same folder take turns.

    Raises UserError for a record or curves that cannot be read, TimeoutError when another pass does
    not end, and MLflow's errors when the store fails; the next pass then sends the rest.
    """
    folder = folder.resolve()
    with held(folder / MIRROR_LOCK, _LOCK_S):
        record = read(folder / RECORD)  # before the curves: a final record then covers all of them
        run = _known_run(folder, record, store) or _find_or_create(folder, record, store)
        _send_tags(store, run, mlflow_terms.tags(record))
        _send_params(store, run, mlflow_terms.params(record["config"]["text"]))
        epochs = _lacking_epochs(store, run, folder / CURVES)
        results = mlflow_terms.result_rows(record) if record["status"] == "finished" else []
        results = [row for row in results if row.name not in run.data.metrics]
        _send_metrics(store, run, [*map(mlflow_terms.epoch_rows, epochs), results])
        artifacts = _send_artifacts(store, run, folder) if record["status"] != "running" else 0
        _send_status(store, run, record)
    return Upload(run.info.run_id, store.place_of(run.info.run_id), len(epochs), artifacts)


# --- finding the run in the store -----------------------------------------------------------------


def _known_run(folder: Path, record: Record, store: Store) -> "MlflowRun | None":
    """Return the run that an earlier pass noted, None if it is another attempt's or deleted."""
    from mlflow.exceptions import MlflowException

    known = run_reference.read(folder)
    if known is None or known != _reference(known["run_id"], record, store):
        return None
    try:
        run = store.client.get_run(known["run_id"])
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return run if run.info.lifecycle_stage == "active" else None


def _find_or_create(folder: Path, record: Record, store: Store) -> "MlflowRun":
    """Return the store's run of this attempt, or a new one, and note it for the next pass."""
    tags = mlflow_terms.tags(record)
    identity = (mlflow_terms.HASH, mlflow_terms.ATTEMPT)
    query = " and ".join(f"tags.`{key}` = '{tags[key]}'" for key in identity)
    found = store.client.search_runs([store.experiment_id], query, max_results=1)
    if found:
        run = found[0]
    else:
        started = mlflow_terms.milliseconds(record["provenance"]["started"])
        run = store.client.create_run(store.experiment_id, started, tags, folder.name)
    run_reference.write(folder, _reference(run.info.run_id, record, store))
    return run


def _reference(run_id: str, record: Record, store: Store) -> RunReference:
    return RunReference(
        uri=store.shown,
        experiment_id=store.experiment_id,
        attempt=record["provenance"]["attempt"],
        run_id=run_id,
        place=store.place_of(run_id),
    )


# --- sending what the store lacks -----------------------------------------------------------------


def _send_tags(store: Store, run: "MlflowRun", tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    known = run.data.tags
    lacking = [RunTag(name, value) for name, value in tags.items() if known.get(name) != value]
    if lacking:
        store.client.log_batch(run.info.run_id, tags=lacking)


def _send_params(store: Store, run: "MlflowRun", params: Mapping[str, str]) -> None:
    from mlflow.entities import Param

    lacking = [Param(name, value) for name, value in params.items() if name not in run.data.params]
    for start in range(0, len(lacking), _PARAMS_PER_CALL):
        some = lacking[start : start + _PARAMS_PER_CALL]
        store.client.log_batch(run.info.run_id, params=some)


def _lacking_epochs(store: Store, run: "MlflowRun", path: Path) -> list[EpochLine]:
    """Return the lines of the curves whose epochs the store lacks."""
    if not is_own_file(path):
        return []
    lines = read_curves(path)
    if mlflow_terms.EPOCH not in run.data.metrics:  # spares a question for each new run
        return lines
    history = store.client.get_metric_history(run.info.run_id, mlflow_terms.EPOCH)
    sent = {row.step for row in history}
    return [line for line in lines if line[mlflow_terms.EPOCH] not in sent]


def _send_metrics(store: Store, run: "MlflowRun", epochs: Iterable[list[mlflow_terms.Row]]) -> None:
    from mlflow.entities import Metric

    for batch in mlflow_terms.batches(epochs, _METRICS_PER_CALL):
        store.client.log_batch(run.info.run_id, metrics=[Metric(*row) for row in batch])


def _send_artifacts(store: Store, run: "MlflowRun", folder: Path) -> int:
    """Send the files that the store lacks or has in another version; return how many."""
    digests = {name: sha256_of(folder / name) for name in ARTIFACTS if is_own_file(folder / name)}
    sent = json.loads(run.data.tags.get(_SENT, "{}"))
    lacking = [name for name, digest in digests.items() if sent.get(name) != digest]
    for name in lacking:
        store.client.log_artifact(run.info.run_id, str(folder / name))
    if lacking:
        store.client.set_tag(run.info.run_id, _SENT, json.dumps(digests))
    return len(lacking)


def _send_status(store: Store, run: "MlflowRun", record: Record) -> None:
    status = _STATUS[record["status"]]
    if status == "RUNNING":
        if run.info.status != status:  # resumed
            store.client.update_run(run.info.run_id, status)
        return
    provenance = record["provenance"]
    ended = mlflow_terms.milliseconds(provenance["ended"] or provenance["started"])
    if (run.info.status, run.info.end_time) != (status, ended):
        store.client.set_terminated(run.info.run_id, status, ended)
