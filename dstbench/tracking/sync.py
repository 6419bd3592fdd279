"""Sends run folders to MLflow after their runs: what the store lacks, and nothing twice."""

import importlib.util
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dstbench.errors import UserError
from dstbench.recording.file_names import RECORD
from dstbench.tracking.store import Store, open_store, reason
from dstbench.tracking.store_uri import OFF, database_of, resolve
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


_AT_ONCE = 8  # folders that are sent to a server at the same time: each waits for its answers


def sync(folders: Sequence[Path], uri: str | None = None) -> Iterator[Outcome]:
    """Send each run folder to the store, and yield each result in the folders' order.

    uri: an MLflow store, None for the default one.

    A folder that fails stops no other. Raises UserError when tracking is off or MLflow is not
    installed.
    """
    uri = resolve(uri)
    if uri == OFF:
        raise UserError("Tracking is off, so there is no store to send to. Give one: --tracking.")
    if importlib.util.find_spec("mlflow") is None:
        raise UserError("MLflow is not installed: pip install mlflow")
    return _outcomes(folders, uri)


def _outcomes(folders: Sequence[Path], uri: str) -> Iterator[Outcome]:
    try:
        store = open_store(uri)
    except Exception as error:
        yield from (Outcome(folder, f"not sent: {reason(error)}", False) for folder in folders)
        return
    if database_of(uri) is not None:  # one process writes to an SQLite file at a time
        yield from (_send(store, folder) for folder in folders)
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            yield from pool.map(partial(_send, store), folders)
        except BaseException:  # such as Ctrl-C: what is sent already stays sent
            pool.shutdown(cancel_futures=True)
            raise


def _send(store: Store, folder: Path) -> Outcome:
    """Send one folder, and return how that went."""
    if not (folder / RECORD).is_file():
        what = f"the folder has no {RECORD}" if folder.is_dir() else "no such folder"
        return Outcome(folder, f"not sent: {what}", False)
    try:
        done = upload(folder, store)
    except Exception as error:
        return Outcome(folder, f"not sent: {reason(error)}", False)
    sent = f"sent {done.epochs} epochs and {done.artifacts} files"
    line = sent if done.epochs or done.artifacts else "nothing was missing"
    return Outcome(folder, f"{line}; {done.place}", True)
