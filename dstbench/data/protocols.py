"""Which images train, which choose the best epoch, and which accuracy counts.

A protocol is part of a run's identity: results under different ones are never mixed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dstbench.data.images import Dataset, Labelled
from dstbench.errors import UserError

HELD_OUT = 10  # one training image in so many is for validation
ITOP_SELECTS_ON_TEST = ("cifar100",)


@dataclass(frozen=True)
class Split:
    """What a protocol makes of a dataset.

    train: int64 positions in the dataset's training images. val: validation images.
    val_augmented: whether they are augmented like training images.
    selected_on_test: whether they are the test images.
    """

    train: np.ndarray
    val: Labelled
    val_augmented: bool
    selected_on_test: bool


@dataclass(frozen=True)
class Protocol:
    """How to split, and the accuracy that tables show: at the end, or at the best validation.

    divide: (dataset, split_seed) → Split.
    """

    name: str
    shown: Literal["test_final", "test_at_best_val"]
    divide: Callable[[Dataset, int], Split]


def split(
    dataset: Dataset, protocol: Protocol, split_seed: int, train_images: int | None = None
) -> Split:
    """Split the dataset as the protocol says.

    split_seed: of the split, independent of the run's seed. train_images: keep only so many
    training images, a random subset that split_seed fixes; validation stays as it is. The subsets
    of one split are nested.

    Raises UserError for a training set too small to split, or with fewer than train_images.
    """
    if len(dataset.train) < HELD_OUT:
        raise UserError(
            f"{dataset.name} has {len(dataset.train)} training images; one in {HELD_OUT} is held "
            f"out for validation, so at least {HELD_OUT} are needed."
        )
    divided = protocol.divide(dataset, split_seed)
    if train_images is None:
        return divided
    if not 1 <= train_images <= len(divided.train):
        raise UserError(
            f"Run.train_images = {train_images!r}: {dataset.name} under {protocol.name} has "
            f"{len(divided.train)} training images. Ask for 1 to {len(divided.train)}, or None.",
            "Run.train_images",
        )
    # a stream of its own: with the generator of the split, the subset would repeat its order
    chosen = np.random.default_rng([split_seed, 1]).permutation(divided.train)[:train_images]
    return Split(chosen, divided.val, divided.val_augmented, divided.selected_on_test)


def _random_tenth(dataset: Dataset, split_seed: int) -> Split:
    """A random tenth of the training images validates, unaugmented."""
    order = np.random.default_rng(split_seed).permutation(len(dataset.train))
    held_out = len(order) // HELD_OUT
    return Split(order[held_out:], dataset.train[order[:held_out]], False, False)


def _as_itop(dataset: Dataset, split_seed: int) -> Split:
    """ITOP's splits: the last tenth of the training images validates, augmented like the rest.

    On CIFAR-100 it trains on everything and validates on the test images, so that the best epoch is
    chosen on them. There is no seed. Source: ITOP (Liu et al. 2021), its public code.
    """
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


PROTOCOLS = {
    p.name: p
    for p in (
        Protocol("strict", "test_final", _random_tenth),
        Protocol("paper", "test_at_best_val", _random_tenth),
        Protocol("itop_compat", "test_at_best_val", _as_itop),
    )
}
