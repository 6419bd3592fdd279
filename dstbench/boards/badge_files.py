"""Checks that the networks behind the badges of a leaderboard are those of its records."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dstbench.boards.network_files import network_files, paths_of
from dstbench.boards.replications import REPLICATIONS
from dstbench.boards.verified import read_verified
from dstbench.errors import UserError
from dstbench.recording.record import read
from dstbench.recording.stored_network import read_network
from dstbench.utils.files import sha256_of
from dstbench.utils.json_files import json_files


def badge_file_problems(folder: Path) -> Iterator[str]:
    """Yield a message for each network of a recomputed record that is missing, or another one.

    folder: of the leaderboard. The predictions are in the record itself, whose hash the badge has.
    """
    verified = read_verified(folder)
    for kind in ("records", REPLICATIONS):
        for path in json_files(folder / kind):
            if sha256_of(path) not in verified:
                continue
            try:
                record: Any = read(path)
            except UserError as error:
                yield error.message
                continue
            for place in network_files(path.stem):
                if place.key not in record:
                    continue
                try:
                    read_network(record[place.key], paths_of(path, place))
                except UserError as error:
                    yield f"{paths_of(path, place)[-1]}: {error.message}"
