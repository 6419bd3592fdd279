"""How long the runs of a sweep will take, from how long like ones took that are on disk.

Runs are alike when data, network, batch size, number of images and precision are the same, on the
same device; best if the method is, too. Only the folder of runs is asked, not the suite's published
records: those are of other machines.
"""

import re
from collections import defaultdict
from pathlib import Path
from statistics import median

from dstbench.errors import UserError
from dstbench.records.file_names import RECORD
from dstbench.records.record import read
from dstbench.records.types import Record
from dstbench.sweep.plan import Planned

_ALIKE = ("dataset", "model", "batch_size", "train_images", "precision")  # parameters of Run

Kind = tuple[str, ...]


class Estimate:
    """Seconds an epoch of the runs below a folder. device: only of runs there, None for any."""

    def __init__(self, runs: Path, device: str | None):
        seconds: dict[Kind, list[float]] = defaultdict(list)
        for path in runs.glob(f"*/{RECORD}"):
            try:
                record = read(path)
            except UserError:
                continue
            if device in (None, record["provenance"]["device"]) and (each := _per_epoch(record)):
                kind = _kind(record["config"]["text"])
                seconds[kind].append(each)
                seconds[(*kind, record["method"])].append(each)
        self._per_epoch = {kind: median(found) for kind, found in seconds.items()}

    def seconds_left(self, run: Planned) -> float | None:
        """What is left of a run, None where nothing like it is known."""
        kind = _kind(run.text)
        each = self._per_epoch.get((*kind, run.job.method), self._per_epoch.get(kind))
        return None if each is None else each * (run.epochs - run.epochs_done())


def _per_epoch(record: Record) -> float | None:
    """Seconds an epoch of a finished run."""
    epochs = re.search(r"^Run\.epochs = (\d+)$", record["config"]["text"], re.MULTILINE)
    seconds = record["provenance"].get("train_seconds")
    if record["status"] != "finished" or epochs is None or not seconds:
        return None
    return seconds / int(epochs[1])


def _kind(text: str) -> Kind:
    """What decides how long an epoch takes, the method apart: lines of the resolved gin text."""
    model = re.search(r"^Run\.model = @(\w+)$", text, re.MULTILINE)
    names = "|".join(_ALIKE)
    pattern = rf"^(?:Run\.(?:{names})|{model[1] if model else 'Run.model'}\.\w+) = .*$"
    return tuple(re.findall(pattern, text, re.MULTILINE))
