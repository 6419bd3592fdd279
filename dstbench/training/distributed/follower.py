"""What every process of a run but the first says and writes: nothing."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from dstbench.records.run_folder import RunFolder
from dstbench.records.types import EpochLine, Record
from dstbench.training.progress import Reporter


class NullRunFolder(RunFolder):
    """A run's folder to a process that leaves it to the first: neither read nor written."""

    @contextmanager
    def locked(self) -> Iterator[None]:
        yield

    def clear(self) -> None: ...

    def record(self) -> None:
        return None

    def write_record(self, record: Record) -> None: ...

    def write_config(self, text: str) -> None: ...

    def write_curves(self, curves: Sequence[EpochLine]) -> None: ...

    def write_network(self, name: str, payload: dict[str, Any]) -> None: ...


def silent() -> Reporter:
    """A reporter that nobody hears."""
    return Reporter(Console(file=open(os.devnull, "w")), quiet=True)
