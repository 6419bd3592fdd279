"""Where and with what a run happens: everything that is no part of its identity."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from dstbench.training.distributed.process_group import ALONE, ProcessGroup


@dataclass(frozen=True)
class RuntimeOptions:
    """Folders, device, processes and tracking of a run.

    runs: folder that holds one folder a run.
    data_root: folder of datasets; None for the default of `data.datasets`.
    cache: folder of decoded datasets; None for the default.
    device: of this process.
    threads: CPU threads of torch; None for one where a step is small, else torch's default.
    tracking: an MLflow URI, None for the default store, or 'off'.
    checkpoint_seconds: time between checkpoints, s.
    fresh: start over instead of resuming.
    command: the command line, for the record.
    plugins: files that register methods or models.
    group: the processes that train together.
    sync_batch_norm: whether batch norm uses the statistics of the whole batch, instead of those of
        each process's shard.
    """

    runs: Path = Path("runs")
    data_root: Path | None = None
    cache: Path | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    threads: int | None = None
    tracking: str | None = None
    checkpoint_seconds: float = 60.0
    fresh: bool = False
    command: tuple[str, ...] = ()
    plugins: tuple[Path, ...] = ()
    group: ProcessGroup = ALONE
    sync_batch_norm: bool = False
