"""A run from MLflow back to disk: its folder as it was, for a machine that has not got it."""

import re
import tempfile
from pathlib import Path

from dstbench.errors import UserError
from dstbench.records.file_names import RECORD
from dstbench.records.record import read
from dstbench.tracking import mlflow_terms
from dstbench.tracking.store import Store, open_store, reason
from dstbench.tracking.store_uri import OFF, database_of, resolve
from dstbench.tracking.upload import ARTIFACTS

RUN_ID = re.compile("[0-9a-f]{32}")


def fetch(run_id: str, runs: Path, uri: str | None = None) -> Path:
    """The folder below `runs` of the run that MLflow knows by this id, downloaded if need be.

    A folder that is there already is taken if it holds the same attempt. A download is whole or
    not there. Raises UserError when there is no store, or it does not have the run's files.
    """
    uri = resolve(uri)
    database = database_of(uri)
    if uri == OFF or (database is not None and not database.exists()):
        where = "tracking is off" if uri == OFF else f"there is no {database}"
        raise UserError(f"{run_id}: an MLflow run id, but {where}. Name the store: --tracking URI.")
    try:
        store = open_store(uri)
        run = store.client.get_run(run_id)
        attempt = run.data.tags.get(mlflow_terms.ATTEMPT)
        if attempt is None:
            raise UserError(f"{run_id}: is a run of {store.shown}, but not one of dstbench.")
        name = Path(run.info.run_name or run_id).name
        for folder in (runs / name, runs / f"{name}-{run_id[:8]}"):
            if not folder.exists():
                _download(store, run_id, folder)
                return folder
            if (folder / RECORD).exists() and _attempt(folder) == attempt:
                return folder
        raise UserError(f"{run_id}: {folder} is in the way. Choose another folder: --runs DIR.")
    except UserError:
        raise
    except Exception as error:  # whatever MLflow and the disk come up with
        raise UserError(f"{run_id}: cannot be fetched from MLflow ({reason(error)}).") from None


def _attempt(folder: Path) -> str:
    return read(folder / RECORD)["provenance"]["attempt"]


def _download(store: Store, run_id: str, folder: Path) -> None:
    """Make `folder` of the run's artifacts, or do not make it."""
    there = {file.path for file in store.client.list_artifacts(run_id)}
    if RECORD not in there:
        raise UserError(
            f"{run_id}: {store.shown} does not have its files. `dstbench sync`, where they are, "
            "sends them."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as temporary:
        for name in sorted(there.intersection(ARTIFACTS)):
            store.client.download_artifacts(run_id, name, temporary)
        whole = Path(temporary, folder.name)
        whole.mkdir()
        for name in there.intersection(ARTIFACTS):
            Path(temporary, name).rename(whole / name)
        whole.rename(folder)
