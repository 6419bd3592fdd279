"""Labels of the test images, without the images."""

import json
from pathlib import Path
from typing import NamedTuple

from dstbench.data.sources import digits
from dstbench.errors import UserError
from dstbench.records import predictions

LABELS = "labels"  # folder of a leaderboard
_MOST_CLASSES = 256  # a label is one byte


class Labels(NamedTuple):
    """Labels of the test images of a dataset.

    test: class indices, in the order of the test images.
    dataset_sha256: of the dataset that they belong to.
    """

    test: list[int]
    dataset_sha256: str


def test_labels(dataset: str, leaderboard: Path) -> Labels | None:
    """Return the labels of a dataset's test images; None for an unknown dataset.

    dataset: its id.
    leaderboard: folder with labels/<dataset>.json.

    Raises UserError when: the file cannot be read.
    """
    if dataset == digits.DIGITS:
        loaded = digits.load()
        return Labels(loaded.test.labels.tolist(), loaded.sha256)
    if Path(dataset).name != dataset:
        return None
    path = leaderboard / LABELS / f"{dataset}.json"
    try:
        content = json.loads(path.read_bytes())
        test = predictions.decode(content["test"], _MOST_CLASSES)
        return Labels(test.tolist(), content["dataset_sha256"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read as labels ({error}).") from None
