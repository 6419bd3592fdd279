"""The sessions of a run, and what changed between them.

An interrupted run may resume on another machine or with other versions. This is allowed, reported
and kept in the record, because the result may then differ in its last bits. A changed plugin is
refused: it would be another method.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from dstbench.config import interactive
from dstbench.config.plugin_sources import sources
from dstbench.errors import UserError
from dstbench.recording.types import EngineName, Provenance, SessionEntry
from dstbench.utils.files import sha256_of

_COMPARED: tuple[Literal["device", "cpu", "threads", "processes", "commit", "dirty"], ...] = (
    "device",
    "cpu",
    "threads",
    "processes",
    "commit",
    "dirty",
)


def session_entry(
    provenance: Provenance, started: float, engine: EngineName = "torch"
) -> SessionEntry:
    """Return the history's entry for a session.

    provenance: of the run, collected in this session.
    started: when the session started, Unix seconds.
    engine: of the session.
    """
    return {
        "started": started,
        "versions": provenance["versions"],
        "device": provenance["device"],
        "cpu": provenance["cpu"],
        "threads": provenance["threads"],
        "processes": provenance["processes"],
        "commit": provenance["commit"],
        "dirty": provenance["dirty"],
        "engine": engine,
    }


def differences(before: SessionEntry, now: SessionEntry) -> list[str]:
    """Return what changed between two sessions, each as `name old → new`."""
    pairs: list[tuple[str, object, object]] = [
        (key, before.get(key), now.get(key)) for key in _COMPARED
    ]
    pairs.append(("engine", before.get("engine", "torch"), now.get("engine", "torch")))
    old, new = before.get("versions") or {}, now.get("versions") or {}
    pairs += [(name, old.get(name), new.get(name)) for name in sorted({*old, *new})]
    return [f"{name} {was} → {is_now}" for name, was, is_now in pairs if was != is_now]


def plugin_hashes(files: Sequence[Path], text: str = "") -> dict[str, str]:
    """Return label → sha256 (hex) of each plugin file and of the user's modules that it imports.

    files: given by --plugin.
    text: resolved gin text, which may import plugins too, or name classes of a notebook.
    """
    of_files = {label: sha256_of(path) for label, path in sorted(sources(files, text).items())}
    return of_files | interactive.hashes(text)


def refuse_changed_plugins(before: Mapping[str, str], now: Mapping[str, str], folder: Path) -> None:
    """Check that no plugin file changed since the run was started.

    before, now: plugin file → sha256; a file that is in only one of them is not compared.
    folder: of the run, for the message.

    Raises UserError when: a file has another hash now.
    """
    changed = [name for name, sha256 in now.items() if before.get(name, sha256) != sha256]
    if changed:
        raise UserError(
            f"{folder} holds a run of an earlier version of {', '.join(changed)}. Restore that "
            "version, choose another folder for the new runs (--runs DIR), or start this one over "
            "(dstbench run … --fresh)."
        )
