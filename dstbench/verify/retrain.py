"""Trains a record's run again: another attempt, compared with the first and kept beside it."""

import shutil
from pathlib import Path

from dstbench.errors import UserError
from dstbench.leaderboard.badges import REPLICATIONS
from dstbench.records import predictions
from dstbench.records.file_names import RECORD
from dstbench.records.record import read
from dstbench.records.types import Record
from dstbench.training.configure import resolved_run
from dstbench.training.progress import Reporter
from dstbench.training.run import carry_out, run_name
from dstbench.training.runtime_options import RuntimeOptions
from dstbench.verify.noise import most_retrained
from dstbench.verify.rebuild import configured_run


def retrain(path: Path, options: RuntimeOptions) -> Path:
    """Train the run of a record again, and return the path of the new record.

    path: of the record.
    options: where the new run goes; a run that was stopped there resumes.

    Raises UserError for a run that cannot be trained here, or did not finish, and NotRecomputable
    for one with plugins.
    """
    record = read(path)
    configured_run(record)  # checks what the configuration imports
    run, resolved = resolved_run(record["config"]["text"])
    folder = options.runs / run_name(run, resolved)
    if (folder / RECORD).exists() and _attempt(read(folder / RECORD)) == _attempt(record):
        raise UserError(f"{folder} holds the record's own run. Choose another folder with --runs.")
    if carry_out(run, resolved, options, Reporter(quiet=True)) != 0:
        raise UserError(f"{folder}: the run did not finish; the same command resumes it.")
    return folder / RECORD


def replication_problem(record: Record, again: Record) -> str | None:
    """Return why another attempt contradicts a record, or None if noise explains the difference."""
    shown = record["accuracy"]["shown"]
    one, other = record["accuracy"][shown], again["accuracy"][shown]
    if one is None or other is None or again["config"]["sha256"] != record["config"]["sha256"]:
        return "they are not two attempts at one run"
    stored = record["predictions"]
    images = len(predictions.decode(stored["test"], stored["classes"]))
    difference, most = abs(one - other), most_retrained(one, images)
    if difference > most:
        return (
            f"accuracy.{shown} is {one:.2f}, retrained {other:.2f}: they differ by "
            f"{difference:.2f} points, and devices by at most {most:.2f}"
        )
    return None


def keep(replication: Path, original: Path, leaderboard: Path) -> Path:
    """Copy a new record to the leaderboard's replications, and return the copy's path."""
    attempt = _attempt(read(replication))
    target = leaderboard / REPLICATIONS / f"{original.stem}-{attempt[:8]}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(replication, target)
    return target


def _attempt(record: Record) -> str:
    return record["provenance"]["attempt"]
