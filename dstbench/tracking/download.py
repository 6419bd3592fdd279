"""Downloads a run folder from MLflow to a machine that does not have it."""

import re
import tempfile
from pathlib import Path

from dstbench.errors import UserError
from dstbench.recording.file_names import RECORD
from dstbench.recording.record import read
from dstbench.tracking import mlflow_terms
from dstbench.tracking.store import Store, open_store, reason
from dstbench.tracking.store_uri import OFF, database_of, resolve
from dstbench.tracking.upload import ARTIFACTS

RUN_ID = re.compile("[0-9a-f]{32}")


def download(run_id: str, runs: Path, uri: str | None = None) -> Path:
    """Return the folder below `runs` of an MLflow run, downloaded if it is not there.

    run_id: MLflow's id of the run.
    runs: folder of run folders. One that holds the same attempt is used without a download.
    uri: an MLflow store, None for the default one.

    Raises UserError when there is no store, or it does not have the run's files; no folder is
    then left behind.
    """
    uri = resolve(uri)
    database = database_of(uri)
    if uri == OFF or (database is not None and not database.exists()):
        where = "tracking is off" if uri == OFF else f"{database} does not exist"
        raise UserError(f"{run_id}: an MLflow run id, but {where}. Give the store: --tracking URI.")
    try:
        store = open_store(uri)
        run = store.client.get_run(run_id)
        attempt = run.data.tags.get(mlflow_terms.ATTEMPT)
        if attempt is None:
            raise UserError(f"{run_id}: a run of {store.shown}, but not one of dstbench.")
        name = Path(run.info.run_name or run_id).name
        for folder in (runs / name, runs / f"{name}-{run_id[:8]}"):
            if not folder.exists():
                _download(store, run_id, folder)
                return folder
            if (folder / RECORD).exists() and _attempt(folder) == attempt:
                return folder
        raise UserError(f"{run_id}: {folder} exists already. Choose another folder: --runs DIR.")
    except UserError:
        raise
    except Exception as error:  # MLflow and the disk raise many kinds
        raise UserError(f"{run_id}: cannot be fetched from MLflow ({reason(error)}).") from None


def _attempt(folder: Path) -> str:
    return read(folder / RECORD)["provenance"]["attempt"]


def _download(store: Store, run_id: str, folder: Path) -> None:
    """Create `folder` with the run's artifacts, completely or not at all."""
    available = {file.path for file in store.client.list_artifacts(run_id)}
    if RECORD not in available:
        raise UserError(
            f"{run_id}: {store.shown} does not have its files. Send them with `dstbench sync` "
            "where they are."
        )
    names = sorted(available.intersection(ARTIFACTS))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".download-") as temporary:
        for name in names:
            store.client.download_artifacts(run_id, name, temporary)
        whole = Path(temporary, folder.name)
        whole.mkdir()
        for name in names:
            Path(temporary, name).rename(whole / name)
        whole.rename(folder)
