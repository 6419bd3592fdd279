"""Where and with what a run happens: everything that does not belong to its identity."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from dstbench.training.distributed.process_group import ALONE, ProcessGroup


@dataclass(frozen=True)
class RuntimeOptions:
    """Folders, device, and how the run is kept.

    runs: folder that holds one folder a run. data_root, cache: None for the defaults of data.py.
    tracking: an MLflow URI, None for the default store, or 'off'.
    checkpoint_seconds: time between checkpoints. fresh: start over instead of going on.
    command: what was typed, for the record. plugins: files that register methods or models.
    ranks: the processes that train together. sync_batch_norm: whether their batch norms share the
    statistics of the whole batch, instead of each having those of its own share.
    """

    runs: Path = Path("runs")
    data_root: Path | None = None
    cache: Path | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    tracking: str | None = None
    checkpoint_seconds: float = 60.0
    fresh: bool = False
    command: tuple[str, ...] = ()
    plugins: tuple[Path, ...] = ()
    ranks: ProcessGroup = ALONE
    sync_batch_norm: bool = False
