"""What this machine knows of a record's dataset: its test labels, and perhaps its images."""

from dataclasses import dataclass
from pathlib import Path

from dstbench.boards.run_size import run_size
from dstbench.data import datasets
from dstbench.data.batch_plan import BatchPlan
from dstbench.data.images import Shape
from dstbench.data.loaders import DataLoaders
from dstbench.recording.types import Record
from dstbench.training.settings import Run
from dstbench.verify.images import Images
from dstbench.verify.labels import Labels, test_labels
from dstbench.verify.rebuild import NotRecomputable


@dataclass(frozen=True)
class KnownDataset:
    """The dataset of a record.

    labels: of its test images.
    shape: (channels, height, width) of an image.
    loaders: of the run; None where the images are not on this machine.
    plan: the batches of an epoch; None where the number of training images is not known.
    """

    labels: Labels
    shape: Shape
    loaders: DataLoaders | None
    plan: BatchPlan | None

    def total_steps(self, run: Run) -> int:
        """Return the optimizer steps of the run, or its epochs where they are not known."""
        return run.epochs * (self.plan.steps_per_epoch if self.plan else 1)


def known_dataset(record: Record, run: Run, leaderboard: Path, images: Images) -> KnownDataset:
    """Return the dataset of a record.

    run: its configuration.
    leaderboard: folder with the labels.

    Raises NotRecomputable where its labels or the shape of its images are not known, and where the
    images here are not the known ones. Raises UserError for labels that are not the published ones.
    """
    labels, loaders = test_labels(record["dataset"], leaderboard), images.loaders(run)
    if loaders is None:
        if labels is None:
            raise NotRecomputable(f"neither images nor labels of {run.dataset} are on this machine")
        if run.dataset not in datasets.KNOWN:
            raise NotRecomputable(f"the shape of {run.dataset}'s images is not known")
        size = run_size(record)
        plan = None if size is None else BatchPlan(size.images, run.batch_size)
        return KnownDataset(labels, datasets.KNOWN[run.dataset].image, None, plan)
    found = Labels(loaders.dataset.test.labels.tolist(), loaders.dataset.sha256)
    if labels not in (None, found):
        raise NotRecomputable(f"the images of {run.dataset} here are not the known ones")
    return KnownDataset(found, loaders.image_shape, loaders, loaders.training.plan)
