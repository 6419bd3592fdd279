"""The sessions of a run, and in what they differ: "same seed, same run" holds where nothing does.

A run that was interrupted may go on elsewhere, or with other versions. That is allowed, told to who
watches, and kept in the record; other code of one's own is refused, for then it is another method.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dstbench.errors import UserError

_KEPT = ("started", "versions", "device", "cpu", "threads", "processes", "commit", "dirty")
_PLAIN = ("device", "cpu", "threads", "processes", "commit")


def session(provenance: Mapping[str, Any], began: float) -> dict[str, Any]:
    """What is kept of one session."""
    return {key: provenance.get(key) for key in _KEPT} | {"started": began}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is not as in the session before, each as `name old → new`."""
    pairs = [(key, before.get(key), now.get(key)) for key in _PLAIN]
    old, new = before.get("versions") or {}, now.get("versions") or {}
    pairs += [(name, old.get(name), new.get(name)) for name in sorted({*old, *new})]
    return [f"{name} {was} → {will}" for name, was, will in pairs if was != will]


def hashes(files: Sequence[Path]) -> dict[str, str]:
    """Name → sha256 of each plugin file."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def refuse_changed_plugins(before: Mapping[str, Any], now: Mapping[str, str], where: Path) -> None:
    """Raise UserError if a plugin is not the file that the run in folder `where` was begun with.

    before, now: name → sha256; a plugin that only one of them has says nothing.
    """
    changed = [name for name, sha in now.items() if before.get(name, sha) != sha]
    if changed:
        raise UserError(
            f"{where} holds a run of {', '.join(changed)} as it was before it was changed. Put the "
            "old file back, or start over with --fresh."
        )
