"""Badges: how far each result was checked, by recomputing it or by training it again."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

from dstbench.boards.replications import REPLICATIONS, replication_problem
from dstbench.boards.verified import Entry, read_verified
from dstbench.errors import UserError
from dstbench.recording import record as records
from dstbench.recording.types import Record
from dstbench.utils.json_files import json_files

Badge = Literal["retrained", "recomputed with images", "recomputed", "self-reported"]
BADGES: tuple[Badge, ...] = get_args(Badge)  # the most trusted first


class Badges:
    """The badges of a leaderboard's records.

    folder: of the leaderboard.

    Raises UserError for a verified.json that cannot be read.
    """

    def __init__(self, folder: Path):
        self._verified = read_verified(folder)
        self._replications = _recomputed_in(folder / REPLICATIONS, self._verified)

    def of(self, record: Record, content: bytes) -> Badge:
        """Return the badge of a record; content: of its file."""
        recomputed = _recomputed(self._verified, content)
        others = self._replications[record["config"]["sha256"]]
        if recomputed != "self-reported" and any(
            replication_problem(record, again) is None for again in others
        ):
            return "retrained"
        return recomputed


def _recomputed(verified: Mapping[str, Entry], content: bytes) -> Badge:
    entry = verified.get(hashlib.sha256(content).hexdigest())
    found: Iterable[str] = entry["recomputed"] if entry else ()
    if not {"network", "predictions"} <= {*found}:
        return "self-reported"
    return "recomputed with images" if "images" in found else "recomputed"


def _recomputed_in(folder: Path, verified: Mapping[str, Entry]) -> dict[str, list[Record]]:
    """Return sha256 of a configuration → the recomputed attempts at it in a folder."""
    found: dict[str, list[Record]] = defaultdict(list)
    for path in json_files(folder):
        with suppress(UserError, OSError):
            if _recomputed(verified, path.read_bytes()) != "self-reported":
                again = records.read(path)
                found[again["config"]["sha256"]].append(again)
    return found
