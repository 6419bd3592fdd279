"""verified.json: which records were recomputed, what of them, and with which version.

Keys are the sha256 of record files, so that a changed record loses its entry.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypedDict, cast

from dstbench.boards.replications import REPLICATIONS
from dstbench.errors import UserError
from dstbench.utils.files import write_atomic
from dstbench.utils.json_text import parse_json
from dstbench.utils.printable import utf8

VERIFIED = "verified.json"
Recomputed = Literal["network", "predictions", "images"]


class Entry(TypedDict):
    """What was recomputed of a record."""

    record: str  # name of its file, without ending
    recomputed: list[Recomputed]
    version: str  # of dstbench
    commit: str | None  # of dstbench


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_verified(folder: Path) -> dict[str, Entry]:
    """Return sha256 of a record's file → what was recomputed of it.

    folder: of the leaderboard.

    Raises UserError when: the file is not JSON of this form.
    """
    path = folder / VERIFIED
    if not path.exists():
        return {}
    try:
        content = parse_json(path.read_bytes())
        if not all(isinstance(e["recomputed"], list) for e in content.values()):
            raise ValueError("an entry has no list")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: cannot be read ({error}). Delete it, and verify again.") from None
    return cast(dict[str, Entry], content)


def write_verified(folder: Path, entries: Mapping[str, Entry]) -> None:
    """Write the entries of the records and replications that the leaderboard has."""
    folders = (folder / "records", folder / REPLICATIONS)
    present = {file_sha256(path) for one in folders for path in one.glob("*.json")}
    kept = {sha256: entries[sha256] for sha256 in entries if sha256 in present}
    ordered = dict(sorted(kept.items(), key=lambda item: (item[1]["record"], item[0])))
    write_atomic(folder / VERIFIED, utf8(f"{json.dumps(ordered, indent=1)}\n"))
