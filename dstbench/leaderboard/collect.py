"""Runs that are over, from folders of runs or MLflow stores, into a leaderboard's folder.

A run goes to records/<name>.json and curves/<name>.json, under the name of its folder. What is
there is never replaced by another attempt at the same run.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dstbench.errors import UserError
from dstbench.leaderboard import curves
from dstbench.records import record as records
from dstbench.records.file_names import CURVES, RECORD
from dstbench.records.provenance import without_password
from dstbench.utils.files import write_atomic

if TYPE_CHECKING:
    from dstbench.tracking.store import Store


@dataclass
class Collected:
    """What collecting came to: names of runs, and complaints about those that were not taken."""

    new: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        left = f", not over yet: {len(self.unfinished)}" if self.unfinished else ""
        return f"runs collected: {len(self.new)}, there already: {len(self.known)}{left}"


def collect(sources: list[str], out: Path) -> Collected:
    """Collect from every source: a folder that has run folders below it, or an MLflow URI.

    Raises UserError for a source that is not there or holds no run, and for an `out` that cannot
    be written.
    """
    collected = Collected()
    for source in sources:
        folders = _from_store(source) if _is_uri(source) else _from_folder(Path(source))
        found = False
        for folder in folders:
            found = True
            _take(folder, out, collected)
        if not found:
            raise UserError(f"--from {without_password(source)}: no runs there.")
    return collected


def _take(folder: Path, out: Path, collected: Collected) -> None:
    """Take one run, unless it goes on or there is something against it."""
    name = folder.name
    target = out / "records" / f"{name}.json"
    try:
        record = records.read(folder / RECORD)
        if record["status"] not in records.OVER:
            collected.unfinished.append(name)
            return
        if target.exists():
            there = records.read(target)["provenance"]["attempt"]
            if there != record["provenance"]["attempt"]:
                collected.complaints.append(
                    f"{name}: {target} is another attempt at this run, and stays. To have this one "
                    "instead, delete that file."
                )
                return
        reduced = _curves(folder / CURVES)
    except UserError as error:
        collected.complaints.append(error.message)
        return
    is_new = _write(target, (folder / RECORD).read_bytes())
    if reduced is not None:
        _write(out / "curves" / f"{name}.json", reduced)
    (collected.new if is_new else collected.known).append(name)


def _curves(path: Path) -> bytes | None:
    """What is kept of a run's curves, None where it has none."""
    if not path.exists():
        return None
    return curves.encode(curves.reduce(path.read_text(encoding="utf-8").splitlines(), str(path)))


def _write(path: Path, content: bytes) -> bool:
    """Whether that was not there yet."""
    if path.exists() and path.read_bytes() == content:
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {path.parent}: cannot be made ({error.strerror}).") from None
    write_atomic(path, content)
    return True


def _is_uri(source: str) -> bool:
    return "://" in source or source.startswith("sqlite:")


def _from_folder(folder: Path) -> Iterator[Path]:
    """Run folders below, in the order of their paths."""
    if not folder.is_dir():
        raise UserError(f"--from {folder}: no such folder; expected one of runs, or an MLflow URI.")
    for path in sorted(folder.rglob(RECORD)):
        yield path.parent


def _from_store(uri: str) -> Iterator[Path]:
    """Folders with what a store holds of each of its runs, one at a time, oldest first."""
    from dstbench.tracking.store import open_store, reason
    from dstbench.tracking.store_uri import resolve

    uri = resolve(uri)
    shown = without_password(uri)
    database = Path(uri.removeprefix("sqlite:///").partition("?")[0])
    if uri.startswith("sqlite:///") and not database.exists():
        raise UserError(f"--from {shown}: there is no such database.")
    try:
        yield from _runs(open_store(uri))
    except UserError:
        raise
    except Exception as error:  # whatever MLflow comes up with
        raise UserError(f"--from {shown}: cannot be read ({reason(error)}).") from None


def _runs(store: "Store") -> Iterator[Path]:
    from dstbench.tracking.mlflow_terms import HASH

    token = None
    while True:
        page = store.client.search_runs(
            [store.experiment_id], f"tags.`{HASH}` != ''", order_by=["attribute.start_time ASC"],
            page_token=token,
        )  # fmt: skip
        for run in page:
            there = {file.path for file in store.client.list_artifacts(run.info.run_id)}
            if RECORD not in there:
                continue  # still under way: files are sent at the end
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary) / Path(run.info.run_name or run.info.run_id).name
                folder.mkdir()
                for name in sorted(there & {RECORD, CURVES}):
                    store.client.download_artifacts(run.info.run_id, name, str(folder))
                yield folder
        token = page.token
        if not token:
            return
