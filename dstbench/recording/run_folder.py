"""The folder of a run: the truth about it, whatever a tracking store holds.

file_names.py lists its files.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dstbench.errors import UserError
from dstbench.recording import run_lock
from dstbench.recording.file_names import (
    BEST_NETWORK,
    BEST_WEIGHTS,
    CHECKPOINTS,
    CONFIG,
    CURVES,
    FINAL_NETWORK,
    FINAL_WEIGHTS,
    MLFLOW_RUN,
    RECORD,
    epoch_network,
)
from dstbench.recording.record import Unreadable, plain
from dstbench.recording.record import read as read_record
from dstbench.recording.record import write as write_record
from dstbench.recording.types import EpochLine, Record
from dstbench.utils.files import remove_leftovers, write_atomic
from dstbench.utils.printable import utf8


class RunFolder:
    """Reads and writes the files of one run, except its checkpoints."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def has_checkpoint(self) -> bool:
        """Whether the run can go on from something."""
        return any((self.path / name).exists() for name in CHECKPOINTS)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process, see `run_lock.locked`."""
        with run_lock.locked(self.path):
            remove_leftovers(self.path)
            yield

    def clear(self) -> None:
        """Delete the run's files, for a fresh start."""
        networks = (FINAL_NETWORK, BEST_NETWORK, FINAL_WEIGHTS, BEST_WEIGHTS)
        for name in (RECORD, CONFIG, CURVES, *networks, MLFLOW_RUN):
            (self.path / name).unlink(missing_ok=True)
        for path in self.path.glob(epoch_network("*")):
            path.unlink()

    def record(self) -> Record | None:
        """Return the record, or None when there is none yet."""
        path = self.path / RECORD
        try:
            return read_record(path) if path.exists() else None
        except Unreadable as error:
            remedy = (
                "Delete that file: the checkpoints beside it are used without it."
                if self.has_checkpoint
                else "Restore that file, or start over with --fresh."
            )
            raise UserError(f"{error.message} {remedy}") from None

    def write_record(self, record: Record) -> None:
        write_record(self.path / RECORD, record)

    def write_config(self, text: str) -> None:
        write_atomic(self.path / CONFIG, utf8(text))

    def write_curves(self, curves: Sequence[EpochLine]) -> None:
        lines = "".join(json.dumps(plain(line), allow_nan=False) + "\n" for line in curves)
        write_atomic(self.path / CURVES, utf8(lines))

    def write_network(self, name: str, data: bytes) -> None:
        """Write a network's file, named as in file_names.py."""
        write_atomic(self.path / name, data)
