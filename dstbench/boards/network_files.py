"""Where a leaderboard keeps the networks that are too large for their records."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from dstbench.errors import UserError
from dstbench.recording.file_names import BEST_WEIGHTS, FINAL_WEIGHTS
from dstbench.recording.stored_network import read_network
from dstbench.recording.types import Record, StoredNetwork

NETWORKS = "networks"  # folder beside records/


class NetworkPlace(NamedTuple):
    """Names of one network of a record.

    key: of the record's field.
    in_run: file in the run folder.
    on_board: file in networks/.
    """

    key: Literal["network", "network_at_best_val"]
    in_run: str
    on_board: str


def network_files(name: str) -> tuple[NetworkPlace, NetworkPlace]:
    """Return the places of the final and the best network of a record.

    name: of the record's file, without ending.
    """
    return (
        NetworkPlace("network", FINAL_WEIGHTS, f"{name}.safetensors"),
        NetworkPlace("network_at_best_val", BEST_WEIGHTS, f"{name}.best.safetensors"),
    )


def paths_of(record: Path, place: NetworkPlace) -> list[Path]:
    """Return where the network of a record may be: beside it in a run folder, or on a leaderboard.

    record: path of the record.
    """
    board = record.absolute().parent.parent  # of a relative path, there may be no parent's parent
    return [record.parent / place.in_run, board / NETWORKS / place.on_board]


def network_file_problems(record: Record, path: Path) -> Iterator[str]:
    """Yield what is wrong with the files of a record's networks, those inside it included.

    path: of the record, in the folder of its run or on a leaderboard.
    """
    for place in network_files(path.stem):
        stored: StoredNetwork | None = record.get(place.key)  # type: ignore[assignment]
        if stored is not None:
            try:
                read_network(stored, paths_of(path, place))
            except UserError as error:
                yield f"{place.key}: {error.message}"


def large_networks(folder: Path, record: Record, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield (file in networks/, content) of a run's networks that its record has no room for.

    folder: of the run.
    name: of the record's file on the leaderboard, without ending.

    Raises UserError when a network, also one inside the record, is missing or not the record's.
    """
    for key, beside, file in network_files(name):
        stored: StoredNetwork | None = record.get(key)  # type: ignore[assignment]
        if stored is not None:
            try:
                content = read_network(stored, [folder / beside])
            except UserError as error:
                raise UserError(f"{folder}: {error.message}") from None
            if "data" not in stored:
                yield file, content
