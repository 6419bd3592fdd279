"""Finds the run folder that a user names by a folder, a record or an MLflow run id."""

from pathlib import Path

from dstbench.errors import UserError
from dstbench.recording import record
from dstbench.recording.file_names import RECORD
from dstbench.tracking.download import RUN_ID, download
from dstbench.verify.images import Images
from dstbench.verify.unpack import unpack


def find(
    run: str,
    runs: Path,
    tracking: str | None,
    data_root: Path | None = None,
    cache: Path | None = None,
) -> Path:
    """Return the run folder that `run` names.

    run: a run folder or its name below `runs`; a record's file, in its folder or a copy of it, such
        as a leaderboard's; or the id of an MLflow run. What is not in `runs` is written there: a
        leaderboard's record with its network, or the MLflow run's files.
    runs: folder of run folders.
    tracking: MLflow store, None for the default one.
    data_root, cache: folders of datasets and of decoded data, for a leaderboard's record.

    Raises UserError when there is no such run.
    """
    for folder in (Path(run), runs / run):
        if run and (folder / RECORD).is_file():
            return folder
    path = Path(run)
    if path.is_file():
        if path.name == RECORD:
            return path.parent
        return _folder_of(path, runs) or unpack(path, runs, Images(data_root, cache))
    if RUN_ID.fullmatch(run):
        return download(run, runs, tracking)
    lacks = f"the folder has no {RECORD}" if run and path.is_dir() else "no such run"
    raise UserError(
        f"{run or repr(run)}: {lacks}. Give a run folder (by name below {runs}; to change that: "
        "--runs DIR), a record, or an MLflow run id."
    )


def _folder_of(path: Path, runs: Path) -> Path | None:
    """Return the folder below `runs` of the run that a copy of its record describes.

    Raises UserError for another attempt at the same run there: its results are others.
    """
    wanted = record.read(path)
    sha256, attempt = wanted["config"]["sha256"], wanted["provenance"]["attempt"]
    for folder in sorted(runs.glob("*")):
        file = folder / RECORD
        if not folder.name.endswith(f"-{sha256[:8]}") or not file.is_file():
            continue
        found = record.read(file)
        if found["config"]["sha256"] != sha256:
            continue
        if found["provenance"]["attempt"] == attempt:
            return folder
        raise UserError(
            f"{path}: {folder} is another attempt at this run ({found['status']}). Give that "
            "folder, or choose another one for the record's: --runs DIR."
        )
    return None
