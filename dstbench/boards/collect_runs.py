"""Collects finished and diverged runs, from run folders or MLflow stores, into a leaderboard.

A run is copied to records/<name>.json, curves/<name>.json and, if its network is too large for the
record, networks/<name>.safetensors; its content gives the name. What is on the leaderboard stays: a
record that contradicts itself, or a record that is there already, is refused. Runs
of one batch that contradict each other are all refused.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dstbench.boards import reduce_curves
from dstbench.boards.conflicts import conflicts
from dstbench.boards.network_files import NETWORKS, large_networks
from dstbench.boards.present_records import PresentRecords
from dstbench.boards.read_results import group_by_cell, result_from_record
from dstbench.boards.run_sources import run_folders
from dstbench.boards.validation import inconsistencies, record_name
from dstbench.errors import UserError
from dstbench.recording import record as records
from dstbench.recording.curves import read_curves
from dstbench.recording.file_names import CURVES, RECORD
from dstbench.recording.types import Record
from dstbench.utils.files import make_folder, write_atomic


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
    collected, present = Collected(), PresentRecords(out / "records")
    with tempfile.TemporaryDirectory() as temporary:
        runs: list[_Run] = []
        for number, source in enumerate(sources):
            for folder in run_folders(source, Path(temporary) / str(number)):
                runs += filter(None, [_read_run(folder, out, present, collected)])
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


def _read_run(
    folder: Path, out: Path, present: PresentRecords, collected: Collected
) -> _Run | None:
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
        elif problem := present.conflict(record, run.name):
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
        networks = dict(large_networks(folder, run.record, name))
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


def _reduced_curves(path: Path) -> bytes | None:
    """Return the content of a run's curve file; None where the run has no curves."""
    if not path.exists():
        return None
    return reduce_curves.encode(reduce_curves.reduce_curves(read_curves(path)))


def _write(path: Path, content: bytes) -> bool:
    """Write a file unless it has this content; return whether it was written."""
    if path.exists() and path.read_bytes() == content:
        return False
    make_folder(path.parent)
    write_atomic(path, content)
    return True
