"""A run's own folder: the truth about it, whatever a tracking store says.

record.json                  the record, always whole
run.gin                      the resolved configuration; running it runs the same thing again
curves.jsonl                 one line a finished epoch, as far as a checkpoint covers it
network.pt, best.pt          the sparse networks, once the run is done
checkpoint.0.pt, .1.pt       while it is not
"""

import fcntl
import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from dstbench.errors import UserError
from dstbench.records.file_names import (
    BEST_NETWORK,
    CONFIG,
    CURVES,
    FINAL_NETWORK,
    LOCK,
    MLFLOW_RUN,
    RECORD,
)
from dstbench.records.record import plain
from dstbench.records.record import read as read_record
from dstbench.records.record import write as write_record
from dstbench.records.types import EpochLine, Record
from dstbench.training import checkpoint
from dstbench.utils.files import remove_leftovers, write_atomic


class RunFolder:
    """Reads and writes the files of one run."""

    def __init__(self, path: Path):
        self.path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; the lock ends with the process, however it ends.

        Raises UserError when another process holds it, or the folder cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / LOCK).open("a+")
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be written ({error.strerror}). Choose another place with "
                "--runs DIR."
            ) from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise UserError(
                    f"{self.path}: another process (pid {holder}) is working on this run."
                ) from None
            remove_leftovers(self.path)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def clear(self) -> None:
        """Forget everything about the run, for a fresh start."""
        checkpoint.remove(self.path)
        for name in (RECORD, CONFIG, CURVES, FINAL_NETWORK, BEST_NETWORK, MLFLOW_RUN):
            (self.path / name).unlink(missing_ok=True)

    def record(self) -> Record | None:
        """The record, or None when there is none yet."""
        path = self.path / RECORD
        try:
            return read_record(path) if path.exists() else None
        except UserError as error:
            raise UserError(
                f"{error.message} Delete that file: the checkpoints beside it are used without it."
            ) from None

    def write_record(self, record: Record) -> None:
        write_record(self.path / RECORD, record)

    def write_config(self, text: str) -> None:
        write_atomic(self.path / CONFIG, text.encode())

    def write_curves(self, curves: Sequence[EpochLine]) -> None:
        lines = "".join(json.dumps(plain(line), allow_nan=False) + "\n" for line in curves)
        write_atomic(self.path / CURVES, lines.encode())

    def write_network(self, name: str, payload: dict[str, Any]) -> None:
        """Write a packed network, to be loaded with torch.load(weights_only=True)."""
        buffer = io.BytesIO()
        torch.save(payload, buffer)
        write_atomic(self.path / name, buffer.getvalue())
