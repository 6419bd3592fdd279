"""Collects finished and diverged runs, from run folders or MLflow stores, into a leaderboard.

A run is copied to records/<name>.json, curves/<name>.json and, if its network is too large for the
record, networks/<name>.safetensors; its content gives the name. What is on the leaderboard stays: a
record that contradicts itself, or a record that is there already, is refused. Runs
of one batch that contradict each other are all refused.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dstbench.boards import reduce_curves
from dstbench.boards.conflicts import conflicts
from dstbench.boards.network_files import NETWORKS, network_files
from dstbench.boards.read_results import group_by_cell, result_from_record
from dstbench.boards.validation import inconsistencies, record_name
from dstbench.errors import UserError
from dstbench.recording import record as records
from dstbench.recording.curves import read_curves
from dstbench.recording.file_names import BEST_WEIGHTS, CURVES, FINAL_WEIGHTS, RECORD
from dstbench.recording.stored_network import read_network
from dstbench.recording.types import Record, StoredNetwork
from dstbench.utils.files import write_atomic
from dstbench.utils.passwords import without_password

if TYPE_CHECKING:
    from dstbench.tracking.store import Store


@dataclass
class Collected:
    """The outcome of collecting.

    new: names of runs that were copied.
    known: names of runs that the leaderboard had already.
    unfinished: names of runs that are neither finished nor diverged.
    complaints: messages about runs that were not collected.
    """

    new: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        """The outcome in one line."""
        rest = f", not finished: {len(self.unfinished)}" if self.unfinished else ""
        return f"runs collected: {len(self.new)}, already present: {len(self.known)}{rest}"


def collect_runs(sources: list[str], out: Path) -> Collected:
    """Collect the runs of every source into a leaderboard's folder.

    sources: folders with run folders below them, or MLflow URIs.
    out: the leaderboard's folder.

    Raises UserError when a source does not exist or has no run, or `out` cannot be written.
    """
    collected = Collected()
    with tempfile.TemporaryDirectory() as temporary:
        runs: list[_Run] = []
        for number, source in enumerate(sources):
            if _is_uri(source):
                folders = _store_runs(source, Path(temporary) / str(number))
            else:
                folders = _run_folders(Path(source))
            found = list(folders)
            if not found:
                raise UserError(f"--from {without_password(source)}: contains no runs.")
            runs += filter(None, (_read_run(folder, out, collected) for folder in found))
        for run in _without_contradictions(runs, out, collected):
            _collect_run(run, out, collected)
    return collected


@dataclass(frozen=True)
class _Run:
    """A run to collect: its folder, and its record, which is consistent in itself."""

    folder: Path
    record: Record

    @property
    def name(self) -> str:
        return record_name(self.record)


def _read_run(folder: Path, out: Path, collected: Collected) -> _Run | None:
    """Return a run unless it is unfinished, or contradicts itself or the leaderboard."""
    try:
        record = records.read(folder / RECORD)
        if record["status"] not in records.OVER:
            collected.unfinished.append(folder.name)
            return None
        if problems := list(inconsistencies(record)):
            raise UserError(f"{folder}: contradicts itself: {'; '.join(problems)}.")
        run = _Run(folder, record)
        target = _target(run, out)
        if target.exists():
            _refuse_other_attempt(run.name, target, record)
        elif problem := _conflict(out / "records", record, run.name):
            raise UserError(f"{folder}: not collected: {problem}")
    except UserError as error:
        collected.complaints.append(error.message)
        return None
    return run


def _without_contradictions(
    runs: Sequence[_Run], out: Path, collected: Collected
) -> Iterator[_Run]:
    """Yield the runs that contradict no other one: none is preferred for its folder's name."""
    distinct: dict[str, _Run] = {}
    for run in runs:  # copies of one run are one
        distinct.setdefault(json.dumps(records.plain(run.record), sort_keys=True), run)
    keys = dict(enumerate(distinct.values()))
    new = {key: run for key, run in keys.items() if not _target(run, out).exists()}
    reasons: dict[int, str] = {}
    for group, message in conflicts([(key, run.record) for key, run in new.items()]):
        reasons |= dict.fromkeys(group, message + ".")
    made = [result_from_record(run.record, str(key)) for key, run in new.items()]
    for one in group_by_cell(made)[1]:
        reasons |= dict.fromkeys(map(int, one.names), one.reason)
    for reason in dict.fromkeys(reasons.values()):
        folders = ", ".join(str(keys[key].folder) for key in reasons if reasons[key] == reason)
        collected.complaints.append(f"{folders}: not collected: {reason}")
    yield from (run for key, run in keys.items() if key not in reasons)


def _target(run: _Run, out: Path) -> Path:
    return out / "records" / f"{run.name}.json"


def _collect_run(run: _Run, out: Path, collected: Collected) -> None:
    """Copy a run into the leaderboard."""
    folder, name, target = run.folder, run.name, _target(run, out)
    try:
        if target.exists():
            _refuse_other_attempt(name, target, run.record)
        reduced = _reduced_curves(folder / CURVES)
        networks = dict(_networks(folder, run.record, name))
    except UserError as error:
        collected.complaints.append(error.message)
        return
    for file, network in networks.items():  # before the record: it names them
        _write(out / NETWORKS / file, network)
    if reduced is not None:
        _write(out / "curves" / f"{name}.json", reduced)
    is_new = not target.exists() and _write(target, (folder / RECORD).read_bytes())
    (collected.new if is_new else collected.known).append(name)


def _refuse_other_attempt(name: str, target: Path, record: Record) -> None:
    """Raise UserError unless the record on the leaderboard is the same."""
    present = records.read(target)
    if present["provenance"]["attempt"] != record["provenance"]["attempt"]:
        raise UserError(
            f"{name}: {target} is another attempt at this run and was kept. To replace it, "
            "delete that file and collect again."
        )
    if records.plain(present) != records.plain(record):
        raise UserError(f"{name}: {target} is this run with other content, and was kept.")


def _conflict(folder: Path, record: Record, name: str) -> str | None:
    """Return why a new record contradicts those in a folder, or None."""
    present = []
    for path in sorted(folder.glob("*.json")):
        with suppress(UserError):  # the board reports it
            other = records.read(path)
            if not list(inconsistencies(other)):
                present.append((path.stem, other))
    for names, message in conflicts([*present, (name, record)]):
        if name in names:
            others = ", ".join(sorted({*names} - {name}))
            return f"{message}{f' ({others})' if others else ''}."
    made = [result_from_record(one, stem) for stem, one in [*present, (name, record)]]
    key = made[-1].key
    _, rejected = group_by_cell(result for result in made if result.key == key)
    return next((f"{', '.join(one.names)} {one.reason}" for one in rejected), None)


def _networks(folder: Path, record: Record, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield (file on the leaderboard, content) of a record's networks, once their hashes agree."""
    for key, beside, file in network_files(name):
        stored: StoredNetwork | None = record.get(key)  # type: ignore[assignment]
        if stored is not None:
            try:
                content = read_network(stored, [folder / beside])
            except UserError as error:
                raise UserError(f"{folder}: {error.message}") from None
            if "data" not in stored:
                yield file, content


def _reduced_curves(path: Path) -> bytes | None:
    """Return the content of a run's curve file; None where the run has no curves."""
    if not path.exists():
        return None
    return reduce_curves.encode(reduce_curves.reduce_curves(read_curves(path)))


def _write(path: Path, content: bytes) -> bool:
    """Write a file unless it has this content; return whether it was written."""
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


def _run_folders(folder: Path) -> Iterator[Path]:
    """Yield the run folders below a folder, sorted by path."""
    if not folder.is_dir():
        raise UserError(f"--from {folder}: no such folder. Give a folder of runs or an MLflow URI.")
    for path in sorted(folder.rglob(RECORD)):
        yield path.parent


def _store_runs(uri: str, into: Path) -> Iterator[Path]:
    """Download each run of an MLflow store below a folder, oldest first, and yield its folder."""
    from dstbench.tracking.store import open_store, reason
    from dstbench.tracking.store_uri import resolve

    uri = resolve(uri)
    shown = without_password(uri)
    database = Path(uri.removeprefix("sqlite:///").partition("?")[0])
    if uri.startswith("sqlite:///") and not database.exists():
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
