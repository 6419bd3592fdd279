"""Checkpoints that survive being killed at any moment.

A checkpoint is one file: a line naming its generation, a checksum, and what torch saved, tensors
and plain values only, loaded without executing code. There are two files, and the older one is
replaced, atomically, so a file that turns out damaged costs a minute, not the run.
"""

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import torch

from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.records.file_names import CHECKPOINTS
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
    """What `_dump` wrote. Raises ValueError, saying what is wrong, for anything else."""
    if not _HEADER.match(data):
        raise ValueError("it does not begin like a checkpoint" if data else "it is empty")
    body = memoryview(data)[_HEADER_SIZE + _DIGEST_SIZE :]
    if data[_HEADER_SIZE : _HEADER_SIZE + _DIGEST_SIZE] != _digest(body):
        raise ValueError("its checksum does not match, so it is truncated or was changed")
    return torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)


def _digest(body: memoryview) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_SIZE).digest()


def _generation(path: Path) -> int:
    """The generation that a file says it is; -1 for no file or a foreign one."""
    try:
        with path.open("rb") as file:
            match = _HEADER.match(file.read(_HEADER_SIZE))
    except OSError:
        return -1
    return int(match[1]) if match else -1


def save(folder: Path, payload: dict[str, Any]) -> None:
    """Write a checkpoint over the older of the two.

    Raises UserError (disk full, read-only folder), with both as they were.
    """
    generations = [_generation(folder / name) for name in CHECKPOINTS]
    older = generations.index(min(generations))
    write_atomic(folder / CHECKPOINTS[older], _dump(payload, max(generations) + 1))


def load(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest sound checkpoint, or None, and a sentence about each damaged one passed over."""
    complaints: list[str] = []
    for path in sorted((folder / name for name in CHECKPOINTS), key=_generation, reverse=True):
        if not path.exists():
            continue
        try:
            return _parse(path.read_bytes()), complaints
        except ValueError as error:
            complaints.append(f"{path} cannot be used: {error}.")
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    return None, complaints


def remove(folder: Path) -> None:
    """Delete the checkpoints of a run that is done."""
    for name in CHECKPOINTS:
        (folder / name).unlink(missing_ok=True)


def load_(state: State, saved: dict[str, Any], run: Run, folder: Path) -> None:
    """Continue from a checkpoint in `folder`. Raises UserError where it is of another network."""
    try:
        state.load_state_dict(saved, run.optimizer.build)
    except (KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{folder}: the checkpoint does not fit what {run.method.name} and "
            f"{run.model.__name__} are now ({type(error).__name__}: {error}). Their code has "
            "changed since it was written: put the old code back, or start over with --fresh."
        ) from error
