"""Finds the folder of a run from what a user names: a folder, a record or an MLflow run id."""

from pathlib import Path

from dstbench.errors import UserError
from dstbench.records import record
from dstbench.records.file_names import RECORD
from dstbench.tracking.download import RUN_ID, fetch


def find(run: str, runs: Path, tracking: str | None) -> Path:
    """The run folder that `run` means.

    run: a run folder or its name below `runs`; a record's file, in its folder or apart from it;
    or the id of an MLflow run, whose folder is downloaded to `runs` if it is not there. tracking:
    the MLflow store, None for the default one.

    Raises UserError when there is no such run.
    """
    for folder in (Path(run), runs / run):
        if run and (folder / RECORD).is_file():
            return folder
    path = Path(run)
    if path.is_file():
        return path.parent if path.name == RECORD else _folder_of(path, runs)
    if RUN_ID.fullmatch(run):
        return fetch(run, runs, tracking)
    lacks = f"the folder holds no {RECORD}" if run and path.is_dir() else "no such run"
    raise UserError(
        f"{run or repr(run)}: {lacks}. Give a run folder (they are below {runs}; another place: "
        "--runs DIR), a record, or an MLflow run id."
    )


def _folder_of(path: Path, runs: Path) -> Path:
    """The folder below `runs` of the run that a record apart from it tells of."""
    sha256 = record.read(path)["config"]["sha256"]
    for folder in sorted(runs.glob(f"*-{sha256[:8]}")):
        if (folder / RECORD).is_file() and record.read(folder / RECORD)["config"][
            "sha256"
        ] == sha256:
            return folder
    raise UserError(
        f"{path}: the network of this record is not here: no folder below {runs} holds a run of "
        f"configuration {sha256[:8]}. Choose the folder of runs with --runs DIR, or name the run "
        "by its MLflow id."
    )
