"""What a call of `carry_out` comes to."""

from dataclasses import dataclass
from pathlib import Path

from dstbench.recording.types import Record


@dataclass(frozen=True)
class Outcome:
    """A run that is over, or that a signal stopped; everything of it is in its folder.

    path: the run's folder.
    record: as it is in the folder.
    tracked: where the run is in MLflow, or why it is not; empty where it was stopped.
    exit_code: of the command line: 0 finished, 1 diverged, 128 + the signal's number if stopped.
    """

    path: Path
    record: Record
    tracked: str
    exit_code: int
