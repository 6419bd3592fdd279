"""The test images of this machine, for records that are recomputed one after another."""

from pathlib import Path
from typing import Any

from dstbench.data.datasets import load_images
from dstbench.data.images import Dataset
from dstbench.data.loaders import DataLoaders
from dstbench.errors import UserError
from dstbench.training.run import data_loaders
from dstbench.training.runtime_options import RuntimeOptions
from dstbench.training.settings import Run


class Images:
    """Test images of the datasets that are on this machine, loaded once.

    records: how many records will be recomputed with them.
    """

    def __init__(self, data_root: Path | None, cache: Path | None, records: int = 1):
        self.data_root, self.cache, self.records = data_root, cache, records
        self._known: dict[tuple[str, bool, int | None], Dataset[Any] | None] = {}

    def loaders(self, run: Run) -> DataLoaders | None:
        """Return the loaders of a run; None where its dataset is not on this machine."""
        key = run.dataset, run.pipeline.decoded, run.pipeline.scaled_to
        if key not in self._known:
            try:
                self._known[key] = load_images(
                    run.dataset, run.pipeline, self.data_root, self.cache
                )
            except UserError:
                self._known[key] = None
        dataset = self._known[key]
        if dataset is None:
            return None
        return data_loaders(run, dataset, RuntimeOptions())
