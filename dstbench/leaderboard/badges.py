"""Badges: how far each result was checked, by recomputing it or by training it again."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

from dstbench.errors import UserError
from dstbench.leaderboard.verified import Entry, read_verified
from dstbench.records import record as records
from dstbench.records.types import Record

REPLICATIONS = "replications"  # folder of a leaderboard: further attempts at its runs
Badge = Literal["retrained elsewhere", "recomputed with images", "recomputed", "self-reported"]
BADGES: tuple[Badge, ...] = get_args(Badge)  # the most trusted first


class Badges:
    """The badges of a leaderboard's records.

    folder: of the leaderboard.

    Raises UserError for a verified.json that cannot be read.
    """

    def __init__(self, folder: Path):
        self._verified = read_verified(folder)
        self._attempts = _attempts(folder / REPLICATIONS)

    def of(self, record: Record, content: bytes) -> Badge:
        """Return the badge of a record; content: of its file."""
        recomputed = _recomputed(self._verified, content)
        others = self._attempts[record["config"]["sha256"]] - {record["provenance"]["attempt"]}
        if others and recomputed != "self-reported":
            return "retrained elsewhere"
        return recomputed


def _recomputed(verified: Mapping[str, Entry], content: bytes) -> Badge:
    entry = verified.get(hashlib.sha256(content).hexdigest())
    found: Iterable[str] = entry["recomputed"] if entry else ()
    if not {"network", "predictions"} <= {*found}:
        return "self-reported"
    return "recomputed with images" if "images" in found else "recomputed"


def _attempts(folder: Path) -> dict[str, set[str]]:
    """Return sha256 of a configuration → the attempts at it in a folder of replications."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in folder.glob("*.json"):
        with suppress(UserError):
            again = records.read(path)
            if again["status"] == "finished":
                found[again["config"]["sha256"]].add(again["provenance"]["attempt"])
    return found
