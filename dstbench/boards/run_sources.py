"""Sources of runs for a leaderboard: folders with run folders below them, and MLflow stores."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dstbench.errors import UserError
from dstbench.recording.file_names import BEST_WEIGHTS, CURVES, FINAL_WEIGHTS, RECORD
from dstbench.utils.passwords import without_password

if TYPE_CHECKING:
    from dstbench.tracking.store import Store


def run_folders(source: str, into: Path) -> list[Path]:
    """Return the run folders of a source: those of a folder by path, of a store oldest first.

    source: a folder with run folders below it, or an MLflow URI.
    into: folder for the runs of a store, which are downloaded.

    Raises UserError when the source does not exist, cannot be read or has no run.
    """
    found = list(_store_runs(source, into) if _is_uri(source) else _run_folders(Path(source)))
    if not found:
        raise UserError(f"--from {without_password(source)}: contains no runs.")
    return found


def _is_uri(source: str) -> bool:
    return "://" in source or source.startswith("sqlite:")


def _run_folders(folder: Path) -> Iterator[Path]:
    """Yield the run folders below a folder, sorted by path."""
    if not folder.is_dir():
        raise UserError(f"--from {folder}: no such folder. Give a folder of runs or an MLflow URI.")
    for path in sorted(folder.rglob(RECORD)):
        yield path.parent


def _store_runs(uri: str, into: Path) -> Iterator[Path]:
    """Download each run of an MLflow store below a folder, oldest first, and yield its folder."""
    from dstbench.tracking.store import open_store, reason
    from dstbench.tracking.store_uri import database_of, resolve

    uri = resolve(uri)
    shown = without_password(uri)
    database = database_of(uri)
    if database is not None and not database.exists():
        raise UserError(f"--from {shown}: no such database.")
    try:
        yield from _downloaded(open_store(uri), into)
    except UserError:
        raise
    except Exception as error:  # MLflow raises many kinds
        raise UserError(f"--from {shown}: cannot be read ({reason(error)}).") from None


def _downloaded(store: "Store", into: Path) -> Iterator[Path]:
    from dstbench.tracking.mlflow_terms import HASH

    token = None
    while True:
        page = store.client.search_runs(
            [store.experiment_id], f"tags.`{HASH}` != ''", order_by=["attribute.start_time ASC"],
            page_token=token,
        )  # fmt: skip
        for run in page:
            files = {file.path for file in store.client.list_artifacts(run.info.run_id)}
            if RECORD not in files:
                continue  # unfinished: files are uploaded at the end
            folder = into / run.info.run_id / Path(run.info.run_name or run.info.run_id).name
            folder.mkdir(parents=True)
            for name in sorted(files & {RECORD, CURVES, FINAL_WEIGHTS, BEST_WEIGHTS}):
                store.client.download_artifacts(run.info.run_id, name, str(folder))
            yield folder
        token = page.token
        if not token:
            return
