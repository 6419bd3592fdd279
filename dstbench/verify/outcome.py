"""What recomputing one record gave, and the line that reports it."""

from dataclasses import dataclass, field
from pathlib import Path

from dstbench.boards.verified import Recomputed


@dataclass
class Outcome:
    """What recomputing a record gave.

    path: of the record.
    problems: what differs.
    recomputed: what was recomputed and agrees; empty for a self-reported record.
    reason: why nothing was recomputed.
    notes: what could not be compared, and why.
    changed: predictions that a new forward pass changed; None without images.
    images: number of test images.
    """

    path: Path
    problems: list[str] = field(default_factory=list)
    recomputed: list[Recomputed] = field(default_factory=list)
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    changed: int | None = None
    images: int = 0

    @property
    def line(self) -> str:
        """The outcome in one line."""
        if self.problems:
            return f"{self.path}: differs: {'; '.join(self.problems)}"
        if not self.recomputed:
            return f"{self.path}: self-reported: {self.reason}"
        text = f"{self.path}: recomputed: {', '.join(self.recomputed)}"
        if self.changed is not None:
            text += f" (a new forward pass changes {self.changed} of {self.images:,} predictions)"
        return "; ".join([text, *self.notes])
