"""The runs that a leaderboard has already, by the hash of their configuration."""

from contextlib import suppress
from pathlib import Path

from dstbench.errors import UserError
from dstbench.recording.record import OVER, read


def published_hashes(leaderboard: Path) -> set[str]:
    """Return the configuration hashes of a leaderboard's runs.

    leaderboard: folder with records in `records/`. A record that cannot be read is left out: the
        leaderboard reports it, and its run is repeated.

    Raises UserError for a folder without records.
    """
    hashes = set()
    for path in (leaderboard / "records").glob("*.json"):
        with suppress(UserError):
            record = read(path)
            if record["status"] in OVER:
                hashes.add(record["config"]["sha256"])
    if not hashes:
        raise UserError(
            f"--published {leaderboard}: no records of finished runs in {leaderboard / 'records'}. "
            "Give a leaderboard's folder, such as leaderboard."
        )
    return hashes
