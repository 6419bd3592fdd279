"""`dstbench verify`: recomputes records from what they carry; one line for each."""

import argparse
import sys
from pathlib import Path

from dstbench import __version__
from dstbench.errors import UserError
from dstbench.leaderboard.verified import Entry, file_sha256, read_verified, write_verified
from dstbench.records.provenance import package_version
from dstbench.records.record import read
from dstbench.training.device import choose_device, set_threads
from dstbench.training.runtime_options import RuntimeOptions
from dstbench.verify.noise import MOST_STANDARD_ERRORS
from dstbench.verify.rebuild import NotRecomputable
from dstbench.verify.recompute import Images, Outcome, recompute
from dstbench.verify.retrain import keep, replication_problem, retrain


def main(args: argparse.Namespace) -> int:
    set_threads(args.threads)
    for path in args.files:
        read(path)  # bad input is reported before any work
    if args.retrain:
        return _retrain(args)
    images = Images(args.data_root, args.cache)
    entries: dict[Path, dict[str, Entry]] = {}
    differing = 0
    for path in dict.fromkeys(args.files):
        leaderboard = _leaderboard_of(path, args.out)
        outcome = recompute(path, leaderboard, images)
        noted = entries.setdefault(leaderboard, read_verified(leaderboard))
        sha256 = file_sha256(path)
        if sha256 in noted and not outcome.recomputed and not outcome.problems:
            outcome.problems.append(f"verified.json has it as recomputed; {outcome.reason}")
        print(outcome.line, flush=True)
        differing += bool(outcome.problems)
        _note(noted, sha256, outcome)
    if args.write:
        for leaderboard, noted in entries.items():
            write_verified(leaderboard, noted)
    print(f"records: {len(set(args.files))}, that differ: {differing}")
    return 1 if differing else 0


def _leaderboard_of(path: Path, default: Path) -> Path:
    """Return the folder of the leaderboard that a record is in, else the default."""
    folder = path.absolute().parent
    return folder.parent if folder.name == "records" else default


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
        tracking=args.tracking or "off",
        command=("dstbench", *sys.argv[1:]),
    )
    print(
        "noise of devices: two attempts at a run differ by at most "
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
