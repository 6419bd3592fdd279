"""Checkpoints that survive being killed at any moment.

A checkpoint is one file: a line with its generation, a checksum, and the output of torch.save, of
tensors and plain values only, which is loaded without executing code. There are two files, and each
save replaces the older one atomically, so a damaged file costs a minute, not the run.
"""

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import torch

from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.recording.file_names import CHECKPOINTS
from dstbench.training.settings import Run
from dstbench.utils.files import write_atomic

_HEADER = re.compile(rb"dstbench checkpoint 1 generation (\d{12})\n")
_HEADER_SIZE = len(b"dstbench checkpoint 1 generation 000000000000\n")
_DIGEST_SIZE = 32


def _dump(payload: dict[str, Any], generation: int) -> bytes:
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    body = buffer.getbuffer()
    header = b"dstbench checkpoint 1 generation %012d\n" % generation
    return b"".join((header, _digest(body), body))


def _parse(data: bytes) -> dict[str, Any]:
    """Return what `_dump` wrote. Raises ValueError, with the reason, for anything else."""
    if not _HEADER.match(data):
        raise ValueError("it does not begin like a checkpoint" if data else "it is empty")
    body = memoryview(data)[_HEADER_SIZE + _DIGEST_SIZE :]
    if data[_HEADER_SIZE : _HEADER_SIZE + _DIGEST_SIZE] != _digest(body):
        raise ValueError("its checksum does not match, so it is truncated or was changed")
    return torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)


def _digest(body: memoryview) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_SIZE).digest()


def _generation(path: Path) -> int:
    """Return the generation in a file's header; -1 for a missing file or one of another kind."""
    try:
        with path.open("rb") as file:
            match = _HEADER.match(file.read(_HEADER_SIZE))
    except OSError:
        return -1
    return int(match[1]) if match else -1


def save(folder: Path, payload: dict[str, Any]) -> None:
    """Write a checkpoint over the older of the two.

    Raises UserError (disk full, read-only folder), with both unchanged.
    """
    generations = [_generation(folder / name) for name in CHECKPOINTS]
    older = generations.index(min(generations))
    write_atomic(folder / CHECKPOINTS[older], _dump(payload, max(generations) + 1))


def load(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the newest sound checkpoint, or None, and a message for each damaged one skipped."""
    messages: list[str] = []
    for path in sorted((folder / name for name in CHECKPOINTS), key=_generation, reverse=True):
        if not path.exists():
            continue
        try:
            return _parse(path.read_bytes()), messages
        except ValueError as error:
            messages.append(f"{path} cannot be used: {error}.")
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    return None, messages


def remove(folder: Path) -> None:
    """Delete the checkpoints of a run."""
    for name in CHECKPOINTS:
        (folder / name).unlink(missing_ok=True)


def restore_(state: State, saved: dict[str, Any], run: Run, folder: Path) -> None:
    """Load a checkpoint's State into `state`, a new State of the same run.

    folder: of the checkpoint, for the message.

    Raises UserError when the checkpoint is of another network.
    """
    try:
        state.load_state_dict(saved, run.optimizer.build)
    except (LookupError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{folder}: the checkpoint does not fit what {run.method.name} and "
            f"{run.model.__name__} are now ({type(error).__name__}: {error}). Their code has "
            "changed since it was written: put the old code back, or start over with --fresh."
        ) from error
