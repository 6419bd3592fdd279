"""Where a leaderboard keeps the networks that are too large for their records."""

from pathlib import Path
from typing import Literal, NamedTuple

from dstbench.recording.file_names import BEST_WEIGHTS, FINAL_WEIGHTS

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
    return [record.parent / place.in_run, record.parent.parent / NETWORKS / place.on_board]
