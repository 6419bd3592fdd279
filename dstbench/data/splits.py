"""Train/validation splits: which images train, and which choose the best epoch."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dstbench.data.images import Dataset, Labelled
from dstbench.errors import UserError

HELD_OUT = 10  # one training image in so many is for validation
ITOP_SELECTS_ON_TEST = ("cifar100",)


@dataclass(frozen=True)
class Split:
    """The images of a dataset that train and those that validate.

    train: int64 (n,), indices of the dataset's training images.
    val: validation images.
    val_augmented: whether validation images are augmented like training images.
    selected_on_test: whether the best epoch is chosen on the test images.
    """

    train: np.ndarray
    val: Labelled
    val_augmented: bool
    selected_on_test: bool


Divide = Callable[[Dataset, int], Split]  # (dataset, split_seed) → Split


def split(
    dataset: Dataset, divide: Divide, split_seed: int, train_images: int | None = None
) -> Split:
    """Split the dataset into training and validation images.

    divide: the protocol's way to split, `Protocol.divide`.
    split_seed: of the split, independent of the run's seed.
    train_images: keep only so many training images, a random subset that split_seed fixes;
        validation is unchanged. The subsets of one split are nested. None keeps all.

    Raises UserError: when the training set is too small to split, or has fewer than train_images.
    """
    divided = divide(dataset, split_seed)
    if train_images is None:
        return divided
    if not 1 <= train_images <= len(divided.train):
        raise UserError(
            f"Run.train_images = {train_images!r}: the split of {dataset.name} that Run.protocol "
            f"chooses has {len(divided.train)} training images. Give 1 to {len(divided.train)}, "
            "or None.",
            "Run.train_images",
        )
    # a separate random stream: with the generator of the split, the subset would repeat its order
    chosen = np.random.default_rng([split_seed, 1]).permutation(divided.train)[:train_images]
    return Split(chosen, divided.val, divided.val_augmented, divided.selected_on_test)


def random_tenth(dataset: Dataset, split_seed: int) -> Split:
    """Validate on a random tenth of the training images, unaugmented."""
    _refuse_too_few(dataset)
    order = np.random.default_rng(split_seed).permutation(len(dataset.train))
    held_out = len(order) // HELD_OUT
    return Split(order[held_out:], dataset.train[order[:held_out]], False, False)


def itop_split(dataset: Dataset, split_seed: int) -> Split:
    """Split as ITOP does: the last tenth of the training images validates, augmented.

    On CIFAR-100, all training images train and the test images validate, so that the best epoch is
    chosen on the test images. The split seed is unused.
    Source: ITOP (Liu et al. 2021), its public code.

    # assumed: ITOP's last tenth is that of the authors' files, an order that other containers of
    # the images do not keep. Here CIFAR's images are in the order of their digests, so the last
    # 5,000 are other images, the same for every container and as independent of the classes.

    Raises UserError: when the training images are sorted by class.
    """
    _refuse_too_few(dataset)
    count = len(dataset.train)
    if dataset.name in ITOP_SELECTS_ON_TEST:
        return Split(np.arange(count), dataset.test, False, True)
    if (np.diff(dataset.train.labels) >= 0).all():
        raise UserError(
            f"{dataset.name} is sorted by class, so the last tenth that itop_compat validates on "
            "would be of one class or two. Use the protocol strict or paper.",
            "Run.protocol",
        )
    cut = count - count // HELD_OUT
    return Split(np.arange(cut), dataset.train[cut:], True, False)


def all_images(dataset: Dataset, split_seed: int) -> Split:
    """Train on all training images; the test images are measured after every epoch.

    No epoch may be chosen by them: the final one is reported. The split seed is unused.
    Source: the ImageNet code of ITOP and EAST, and Synaptic-Flow's code, which hold out no images.
    """
    return Split(np.arange(len(dataset.train)), dataset.test, False, False)


def _refuse_too_few(dataset: Dataset) -> None:
    """Raise UserError for a training set from which no tenth can be held out."""
    if len(dataset.train) < HELD_OUT:
        raise UserError(
            f"{dataset.name} has {len(dataset.train)} training images; one in {HELD_OUT} is held "
            f"out for validation, so at least {HELD_OUT} are needed. The protocol all_images holds "
            "out none."
        )
