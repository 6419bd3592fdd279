"""The verdict "collapsed", and its detection in the curves of a run."""

import numpy as np
import pytest

from dstbench.metrics.collapse import CollapseDetector, is_collapsed, majority_class_fraction


@pytest.mark.parametrize(
    "fraction, accuracy, expected",
    [
        (0.0, 95.0, True),  # no live path: the logits are constant
        (0.5, 95.0, False),
        (None, 95.0, False),
        (0.5, 10.0, True),
        (None, 10.0, True),
        (0.5, 10.89, True),  # three standard errors are 0.9 percentage points here
        (0.5, 10.91, False),
        (0.5, 0.0, True),
    ],
)
def test_is_collapsed_with_ten_even_classes(fraction, accuracy, expected):
    assert is_collapsed(fraction, accuracy, majority_fraction=0.1, n_images=10_000) is expected


def test_is_collapsed_on_small_uneven_test_set():
    # p = 0.5, n = 100: chance goes up to 50 + 3·5 percent
    assert is_collapsed(0.9, 65.0, 0.5, 100)
    assert not is_collapsed(0.9, 65.1, 0.5, 100)


def test_majority_class_fraction_of_uneven_labels():
    assert majority_class_fraction(np.array([0, 2, 2, 2])) == 0.75


LABELS = np.arange(10_000) % 10


def line(train: float, val: float, live_path_share: float | None = 0.5) -> dict:
    return {"train_accuracy": train, "val_accuracy": val, "live_path_share": live_path_share}


LEARNS, CHANCE = line(60.0, 50.0), line(10.0, 10.0)


@pytest.mark.parametrize(
    "curves, message",
    [
        ([LEARNS], None),
        ([CHANCE], None),
        ([CHANCE, CHANCE], "Two epochs"),
        ([LEARNS, CHANCE, CHANCE], "Two epochs"),
        ([CHANCE, CHANCE, CHANCE], None),  # reported an epoch earlier
        ([CHANCE, line(60.0, 10.0)], None),  # overfits, but learns
        ([LEARNS, line(60.0, 10.0, 0.0)], "No path"),
        ([LEARNS, line(60.0, 50.0, 0.0)], None),  # DyReLU mixes channels: it needs no path
        ([LEARNS, line(60.0, 50.0, 0.0), line(30.0, 10.0, 0.0)], "No path"),
        ([line(10.0, 10.0, 0.0)] * 2, None),  # reported an epoch earlier
        ([CHANCE, CHANCE, LEARNS, CHANCE, CHANCE], None),  # reported before it recovered
        ([LEARNS, line(60.0, 50.0, None)], None),
    ],
)
def test_collapse_detector_reports_collapse_once(curves, message):
    found = CollapseDetector(LABELS, LABELS).check(curves)
    assert found is None if message is None else message in found
