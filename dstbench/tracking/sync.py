"""Sends run folders to MLflow after their runs: what the store lacks, and nothing twice."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dstbench.errors import UserError
from dstbench.recording.file_names import RECORD
from dstbench.tracking.store import open_store, reason
from dstbench.tracking.store_uri import OFF, resolve
from dstbench.tracking.upload import upload


@dataclass(frozen=True)
class Outcome:
    """The result of `sync` for one run folder.

    folder: the run folder.
    line: a line about the result.
    complete: whether the store now lacks nothing of it.
    """

    folder: Path
    line: str
    complete: bool


def sync(folders: Sequence[Path], uri: str | None = None) -> list[Outcome]:
    """Send each run folder to the store; one that fails stops no other.

    uri: an MLflow store, None for the default one.

    Raises UserError when tracking is off or MLflow is not installed.
    """
    uri = resolve(uri)
    if uri == OFF:
        raise UserError("Tracking is off, so there is no store to send to. Give one: --tracking.")
    if importlib.util.find_spec("mlflow") is None:
        raise UserError("MLflow is not installed: pip install mlflow")
    try:
        store = open_store(uri)
    except Exception as error:
        return [Outcome(folder, f"not sent: {reason(error)}", False) for folder in folders]
    outcomes = []
    for folder in folders:
        if not (folder / RECORD).is_file():
            what = f"the folder has no {RECORD}" if folder.is_dir() else "no such folder"
            outcomes.append(Outcome(folder, f"not sent: {what}", False))
            continue
        try:
            done = upload(folder, store)
        except Exception as error:
            outcomes.append(Outcome(folder, f"not sent: {reason(error)}", False))
            continue
        sent = f"sent {done.epochs} epochs and {done.artifacts} files"
        line = sent if done.epochs or done.artifacts else "nothing was missing"
        outcomes.append(Outcome(folder, f"{line}; {done.place}", True))
    return outcomes
