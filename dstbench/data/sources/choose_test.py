"""Which images of a dataset are its test images.

Those of its test split, else of its validation split, as far as they have labels: ImageNet and many
datasets on hubs publish test images without. A dataset with neither gives up a fifth of its
training images. What is decided here is said, and goes into the record.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dstbench.data.sources.walk import some
from dstbench.errors import UserError

HELD_OUT = 5  # without test images, one training image in so many is a test image


def choose_test(
    folder: Path, labelled: Mapping[str, bool], names: Mapping[str, str]
) -> tuple[str | None, list[str]]:
    """Return the split that is used for testing ('test' or 'val'), and what to tell the user.

    None stands for a part of the training images, see `hold_out`.

    folder: of the dataset.
    labelled: 'test', 'val' → whether its images have labels; without those that are not there.
    names: the same keys → names of the splits in messages.

    Raises UserError: for validation images without labels where the test images have none either.
    """
    usable = [split for split in ("test", "val") if labelled.get(split)]
    if not usable and "val" in labelled:
        raise UserError(
            f"{folder}: {names['val']} has no labels that could be read. Sort its images into one "
            "folder for each class (or give its rows labels); or remove it, and one in "
            f"{HELD_OUT} training images is held out for testing."
        )
    unlabelled = [names[split] for split, has_labels in labelled.items() if not has_labels]
    notes = [f"{name} has no labels and is not used." for name in unlabelled]
    if not usable:
        notes.append(
            f"there are no test images with labels: one in {HELD_OUT} training images of every "
            "class is held out for testing, always the same ones."
        )
        return None, notes
    chosen, *unused = usable
    if chosen == "val" or unused:
        notes.append(f"{names[chosen]} is used for testing.")
    notes += [f"{names[split]} is not used." for split in unused]
    return chosen, notes


def hold_out(folder: Path, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the images that train, and of those that test, both in order.

    One in HELD_OUT of every class tests, at least one where a class has two images. The choice
    depends on the labels alone.

    folder: of the dataset.
    labels: int64 (n,), of all images.

    Raises UserError: when no class has two images.
    """
    rng = np.random.default_rng(0)
    testing = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        testing[members[: max(len(members) // HELD_OUT, int(len(members) > 1))]] = True
    if not testing.any():
        raise UserError(
            f"{folder}: has no test images, and no class has two images, one of which could be "
            "held out. Add test images."
        )
    return np.flatnonzero(~testing), np.flatnonzero(testing)


def absent_classes(name: str, labels: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Return a note about the classes without a test image; none where every class has one.

    name: of the split in messages.
    labels: int64 (n,), of its images.
    """
    absent = [classes[i] for i in np.setdiff1d(np.arange(len(classes)), labels)]
    return [f"{name} has no image of {some(absent)}."] if absent else []
