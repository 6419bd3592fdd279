"""Collapse: training left no live path, or an accuracy no better than chance."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from dstbench.recording.types import EpochLine


def is_collapsed(
    live_path_fraction: float | None,
    accuracy: float,
    majority_fraction: float,
    n_images: int,
) -> bool:
    """Return whether a network has collapsed: no live path is left, or it answers by chance.

    live_path_fraction: fraction of live weights on a path, in [0, 1]; None where not available.
    accuracy, majority_fraction, n_images: as in `is_at_chance`.
    """
    return live_path_fraction == 0 or is_at_chance(accuracy, majority_fraction, n_images)


def is_at_chance(accuracy: float, majority_fraction: float, n_images: int) -> bool:
    """Return whether an accuracy is no better than chance.

    accuracy: on the images, in percent.
    majority_fraction: fraction p of the images in the largest class, in [0, 1].
    n_images: number n of images.

    Chance is p + 3·√(p(1−p)/n): three standard errors above always predicting the largest class.
    """
    p = majority_fraction
    return accuracy / 100 <= p + 3 * math.sqrt(p * (1 - p) / n_images)


def majority_class_fraction(labels: np.ndarray) -> float:
    """Return the fraction of the largest class among int64 labels (n,)."""
    return float(np.bincount(labels).max() / len(labels))


class CollapseDetector:
    """Detects collapse during training, from the curves.

    train: int64 labels (n,) of the images of `train_accuracy`.
    val: int64 labels (n,) of the images of `val_accuracy`.
    """

    def __init__(self, train: np.ndarray, val: np.ndarray):
        self._images = [(majority_class_fraction(one), len(one)) for one in (train, val)]

    def check(self, curves: Sequence[EpochLine]) -> str | None:
        """Return a message if the last epoch is the first to show collapse, else None.

        curves: all epochs so far, at least one.

        An epoch shows collapse when no live path is left and validation is at chance (an activation
        that mixes channels, as DyReLU does, needs no path), or when both accuracies were at chance
        in it and in the epoch before.
        """
        at_chance = [self._at_chance(line) for line in curves]
        cut = [
            line["live_path_share"] == 0 and validation
            for line, (_, validation) in zip(curves, at_chance, strict=True)
        ]
        stuck = [all(one) and all(other) for one, other in pairwise(at_chance)]
        if any(cut[:-1]) or any(stuck[:-1]):
            return None
        if cut[-1]:
            return "No path of live weights reaches the logits any more: collapsed."
        if stuck and stuck[-1]:
            return "Two epochs in a row no better than chance: collapsed, or stuck."
        return None

    def _at_chance(self, line: EpochLine) -> tuple[bool, bool]:
        """Return whether accuracy is at chance: in training, in validation."""
        train, val = self._images
        return (
            is_at_chance(line["train_accuracy"], *train),
            is_at_chance(line["val_accuracy"], *val),
        )
