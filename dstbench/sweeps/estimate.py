"""Estimates the time of a sweep's runs from finished runs on disk.

Two runs are similar if dataset, network, batch size, number of images, precision and device are
the same; runs of the same method are preferred. Published records are not used: they are from
other machines.
"""

import re
from collections import defaultdict
from pathlib import Path
from statistics import median

from dstbench.errors import UserError
from dstbench.recording.configuration import epochs_of
from dstbench.recording.file_names import RECORD
from dstbench.recording.record import read
from dstbench.recording.types import Record
from dstbench.sweeps.plan import PlannedRun

_SAME = ("dataset", "model", "batch_size", "train_images", "precision")  # parameters of Run

Kind = tuple[str, ...]


class Estimate:
    """Seconds per epoch, from the finished runs of a folder.

    runs: folder of run folders.
    device: only runs on this device, as in records; None for any.
    """

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

    def seconds_left(self, run: PlannedRun) -> float | None:
        """Return the seconds for the rest of a run, None if there is no similar run."""
        kind = _kind(run.text)
        each = self._per_epoch.get((*kind, run.job.method), self._per_epoch.get(kind))
        return None if each is None else each * (run.epochs - run.epochs_done())


def _per_epoch(record: Record) -> float | None:
    """Return the seconds per epoch of a finished run, None for any other."""
    epochs = epochs_of(record["config"]["text"])
    seconds = record["provenance"].get("train_seconds")
    if record["status"] != "finished" or not epochs or not seconds:
        return None
    return seconds / epochs


def _kind(text: str) -> Kind:
    """Return the lines of the resolved gin text that similar runs share."""
    model = re.search(r"^Run\.model = @(\w+)$", text, re.MULTILINE)
    names = "|".join(_SAME)
    pattern = rf"^(?:Run\.(?:{names})|{model[1] if model else 'Run.model'}\.\w+) = .*$"
    return tuple(re.findall(pattern, text, re.MULTILINE))
