"""What processes other than the first use in place of the run's folder and its terminal output."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from dstbench.recording.run_folder import RunFolder
from dstbench.recording.types import EpochLine, Record
from dstbench.training.progress import Reporter


class NullRunFolder(RunFolder):
    """The run folder of a process that leaves files to the first: neither read nor written."""

    @contextmanager
    def locked(self) -> Iterator[None]:
        yield

    def clear(self) -> None: ...

    def record(self) -> None:
        return None

    def write_record(self, record: Record) -> None: ...

    def write_config(self, text: str) -> None: ...

    def write_curves(self, curves: Sequence[EpochLine]) -> None: ...

    def write_network(self, name: str, data: bytes) -> None: ...


def silent_reporter() -> Reporter:
    """Return a reporter that prints nothing."""
    return Reporter(Console(file=open(os.devnull, "w")), quiet=True)
