"""`dstbench verify`: recomputes records from what they carry; one line for each."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dstbench import __version__
from dstbench.boards.replications import (
    MOST_STANDARD_ERRORS,
    REPLICATIONS,
    replication_problem,
)
from dstbench.boards.verified import Entry, changing_verified, read_verified
from dstbench.errors import UserError
from dstbench.recording.file_names import RECORD
from dstbench.recording.provenance import package_version
from dstbench.recording.record import read
from dstbench.tracking.store_uri import OFF, resolve
from dstbench.training.device import choose_device, set_threads
from dstbench.training.runtime_options import RuntimeOptions
from dstbench.utils.files import sha256_of
from dstbench.utils.json_files import json_files
from dstbench.verify.images import Images
from dstbench.verify.outcome import Outcome
from dstbench.verify.rebuild import NotRecomputable
from dstbench.verify.recompute import recompute
from dstbench.verify.retrain import keep, retrain


def main(args: argparse.Namespace) -> int:
    args.files = [path / RECORD if path.is_dir() else path for path in args.files]
    set_threads(args.threads)
    for path in args.files:
        read(path)  # bad input is reported before any work
    if args.retrain:
        return _retrain(args)
    differing = 0
    paths = _with_replications(args.files)
    images = Images(args.data_root, args.cache, len(paths))
    for path in paths:
        leaderboard = _leaderboard_of(path, args.out)
        outcome = recompute(path, leaderboard, images)
        if path.absolute().parent.name == REPLICATIONS:
            _compare_with_original(path, leaderboard, outcome)
        sha256 = sha256_of(path)
        if sha256 in read_verified(leaderboard) and not outcome.recomputed and not outcome.problems:
            outcome.problems.append(f"verified.json has it as recomputed; {outcome.reason}")
        print(outcome.line, flush=True)
        differing += bool(outcome.problems)
        if args.write:  # after each record, so that a long call may be stopped
            with changing_verified(leaderboard) as noted:
                _note(noted, sha256, outcome)
    print(f"records: {len(paths)}, that differ: {differing}")
    return 1 if differing else 0


def _leaderboard_of(path: Path, default: Path) -> Path:
    """Return the folder of the leaderboard that a record is in, else the default."""
    folder = path.absolute().parent
    return folder.parent if folder.name in ("records", REPLICATIONS) else default


def _with_replications(files: Sequence[Path]) -> list[Path]:
    """Return the files, and those replications of a leaderboard's records that are not given."""
    found = {path.absolute(): path for path in files}
    for path in list(found.values()):
        if path.absolute().parent.name != "records":
            continue
        sha256 = read(path)["config"]["sha256"]
        for again in json_files(path.parent.parent / REPLICATIONS):
            with suppress(UserError):  # one that is no record counts for nothing
                if read(again)["config"]["sha256"] == sha256:
                    found.setdefault(again.absolute(), again)
    return list(found.values())


def _compare_with_original(path: Path, leaderboard: Path, outcome: Outcome) -> None:
    """Add to the outcome of a replication why it does not repeat a record of the leaderboard."""
    again, reasons = read(path), []
    for one in json_files(leaderboard / "records"):
        with suppress(UserError):
            record = read(one)
            if record["config"]["sha256"] == again["config"]["sha256"]:
                reasons.append(replication_problem(record, again))
    if None not in reasons:
        reason = next(iter(reasons), "no record has its configuration and seed")
        outcome.problems.append(f"it repeats no record: {reason}")
        outcome.recomputed = []
    elif not outcome.problems and not outcome.recomputed:
        outcome.problems.append(f"a replication has to be recomputed: {outcome.reason}")


def _note(noted: dict[str, Entry], sha256: str, outcome: Outcome) -> None:
    """Note an outcome; an earlier one with images stays, as long as nothing differs."""
    if not outcome.recomputed:
        noted.pop(sha256, None)
        return
    earlier = noted.get(sha256)
    if earlier is not None and len(earlier["recomputed"]) > len(outcome.recomputed):
        return
    noted[sha256] = {
        "record": outcome.path.stem,
        "recomputed": outcome.recomputed,
        "version": __version__,
        "commit": package_version()[0],
    }


def _retrain(args: argparse.Namespace) -> int:
    options = RuntimeOptions(
        runs=args.runs,
        data_root=args.data_root,
        cache=args.cache,
        device=choose_device(args.device),
        threads=args.threads,
        tracking=resolve(args.tracking or OFF),
        command=("dstbench", *sys.argv[1:]),
    )
    print(
        "noise of attempts at a run: differences up to "
        f"{MOST_STANDARD_ERRORS} standard errors of their accuracies"
    )
    failed = 0
    for path in dict.fromkeys(args.files):
        try:
            again = retrain(path, options)
        except NotRecomputable as error:
            raise UserError(f"{path}: cannot be retrained: {error}.") from None
        problem = replication_problem(read(path), read(again))
        failed += problem is not None
        print(f"{path}: {'differs: ' + problem if problem else f'retrained: {again}'}")
        if args.write and problem is None:
            print(keep(again, path, _leaderboard_of(path, args.out)))
    return 1 if failed else 0
