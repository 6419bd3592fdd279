"""Telling, while a run goes on, that its network has collapsed: no live path, or nothing learnt."""

import math
from typing import Any

import numpy as np

from dstbench.metrics import collapse


class Collapse:
    """Looks at a run's curves for one that answers no better than by naming the largest class.

    train, val: int64 labels of the images that the accuracies of the curves are of.
    """

    def __init__(self, train: np.ndarray, val: np.ndarray):
        self.labels = {"train_accuracy": train, "val_accuracy": val}

    def noticed(self, curves: list[dict[str, Any]]) -> str | None:
        """What the last epoch is the first to show: that no path of live weights is left, or that
        in two epochs in a row neither accuracy was better than chance."""
        *earlier, line = curves
        if line["live_path_share"] == 0:
            if not any(e["live_path_share"] == 0 for e in earlier):
                return "No path of live weights reaches the logits any more: collapsed."
        elif [self._at_chance(e) for e in curves[-3:]] in ([True, True], [False, True, True]):
            return "Two epochs in a row no better than chance: collapsed, or stuck."
        return None

    def _at_chance(self, line: dict[str, Any]) -> bool:
        return all(
            collapse.collapsed(None, line[accuracy], majority_class_fraction(labels), len(labels))
            for accuracy, labels in self.labels.items()
        )


def majority_class_fraction(labels: np.ndarray) -> float:
    """The share of the largest class among the labels."""
    return float(np.bincount(labels).max() / len(labels))


def collapsed(
    live_path_share: float | None,
    test_accuracy: float,
    largest_class_share: float,
    n_test: int,
) -> bool:
    """Whether training has left nothing: no live path, or an accuracy no better than chance.

    live_path_share: in [0, 1], or None where it is not available.
    test_accuracy: a percentage, 0 … 100, as accuracies are everywhere in the suite.
    largest_class_share: p, the share in [0, 1] of the test images that the largest class has.
    n_test: number n of test images.

    Chance is p + 3·√(p(1−p)/n): three standard errors above always naming the largest class.
    """
    if live_path_share == 0:
        return True
    p = largest_class_share
    return test_accuracy / 100 <= p + 3 * math.sqrt(p * (1 - p) / n_test)
