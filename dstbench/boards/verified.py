"""verified.json: which records were recomputed, what of them, and with which version.

Keys are the sha256 of record files, so that a changed record loses its entry.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, TypedDict, cast

from dstbench.boards.replications import REPLICATIONS
from dstbench.errors import UserError
from dstbench.utils.files import content_of, held, make_folder, sha256_of, write_atomic
from dstbench.utils.json_files import json_files
from dstbench.utils.json_text import parse_json
from dstbench.utils.printable import utf8

VERIFIED = "verified.json"
_LOCK, _LOCK_S = f".{VERIFIED}.lock", 60  # file beside it; how long to wait for another process
Recomputed = Literal["network", "predictions", "images"]


class Entry(TypedDict):
    """What was recomputed of a record."""

    record: str  # name of its file, without ending
    recomputed: list[Recomputed]
    version: str  # of dstbench
    commit: str | None  # of dstbench


def read_verified(folder: Path) -> dict[str, Entry]:
    """Return sha256 of a record's file → what was recomputed of it.

    folder: of the leaderboard.

    Raises UserError when: the file cannot be read, or is not JSON of this form.
    """
    path = folder / VERIFIED
    text = content_of(path)
    if text is None:
        return {}
    try:
        content = parse_json(text)
        if not all(isinstance(e["recomputed"], list) for e in content.values()):
            raise ValueError("an entry has no list")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: cannot be read ({error}). Delete it, and verify again.") from None
    return cast(dict[str, Entry], content)


@contextmanager
def changing_verified(folder: Path) -> Iterator[dict[str, Entry]]:
    """Yield the entries as they are now, to be changed, and write them at the end.

    folder: of the leaderboard. Processes that verify its records at once take turns.

    Raises UserError when the entries cannot be read or written.
    """
    make_folder(folder)
    with ExitStack() as stack:
        try:
            stack.enter_context(held(folder / _LOCK, _LOCK_S))
        except OSError as error:  # or that of another process which does not end
            raise UserError(
                f"{folder / _LOCK}: cannot be held ({error.strerror or error}), so {VERIFIED} was "
                "not changed. Get permission to write there, or wait until no other process "
                "verifies its records."
            ) from None
        entries = read_verified(folder)
        yield entries
        _write(folder, entries)


def _write(folder: Path, entries: Mapping[str, Entry]) -> None:
    """Write the entries of the records and replications that the leaderboard has."""
    folders = (folder / "records", folder / REPLICATIONS)
    present = {sha256_of(path) for one in folders for path in json_files(one)}
    kept = {sha256: entries[sha256] for sha256 in entries if sha256 in present}
    ordered = dict(sorted(kept.items(), key=lambda item: (item[1]["record"], item[0])))
    write_atomic(folder / VERIFIED, utf8(f"{json.dumps(ordered, indent=1)}\n"))
