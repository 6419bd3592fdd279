"""`dstbench validate`: checks whether records can be submitted; one line for each complaint."""

import argparse
from pathlib import Path
from typing import Any

from dstbench.boards.conflicts import conflicts
from dstbench.boards.curve_checks import curve_problems
from dstbench.boards.network_files import network_file_problems
from dstbench.boards.validation import (
    duplicates,
    inconsistencies,
    record_name,
    submission_problems,
)
from dstbench.errors import UserError
from dstbench.recording import record as records
from dstbench.recording.file_names import RECORD
from dstbench.recording.types import Record


def main(args: argparse.Namespace) -> int:
    for path in args.files:
        _require_readable(path)
    complaints: list[tuple[Path, str]] = []
    consistent: list[tuple[Path, Record]] = []
    unreadable = False
    for path in dict.fromkeys(args.files):
        try:
            record = records.read(path)
        except UserError as error:
            complaints.append((path, error.message.removeprefix(f"{path}: ")))
            unreadable |= isinstance(error, records.Unreadable)
            continue
        found = list(inconsistencies(record))
        if not found:
            curves = path.absolute().parent.parent / "curves" / path.name
            # in the folder of its run, it gets its name when it is collected
            stem = record_name(record) if path.name == RECORD else path.stem
            found = [
                *submission_problems(record, stem),
                *curve_problems(record, curves),
                *network_file_problems(record, path),
            ]
            consistent.append((path, _compared(record)))
        complaints += [(path, problem) for problem in found]
    complaints += duplicates(consistent)
    for group, message in conflicts(consistent):
        complaints += [(path, message) for path in group]
    for path, problem in complaints:
        print(f"{path}: {problem}")
    faulty = len({path for path, _ in complaints})
    print(f"records: {len(set(args.files))}, with complaints: {faulty}")
    return 2 if unreadable else bool(complaints)


def _require_readable(path: Path) -> None:
    if path.is_dir():
        raise UserError(f"{path}: is a folder. Give its records: {path}/*.json")
    try:
        path.open("rb").close()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None


def _compared(record: Record) -> Record:
    """Return a record with what records are compared by: of 10,000, the rest fills the memory."""
    health: Any = {"collapsed": record["health"].get("collapsed", False)}
    config: Any = {"sha256": record["config"]["sha256"]}
    provenance = {k: v for k, v in record["provenance"].items() if isinstance(v, str)}
    small: Any = {"cost": None, "health": health, "config": config, "provenance": provenance}
    return record | small
