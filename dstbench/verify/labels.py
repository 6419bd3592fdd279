"""Labels of the test images, without the images."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from dstbench.data.sources import digits
from dstbench.data.sources.published import PUBLISHED
from dstbench.errors import UserError
from dstbench.recording import predictions
from dstbench.utils.json_text import parse_json

LABELS = "labels"  # folder of a leaderboard
_MOST_CLASSES = 256  # a label is one byte
# sha256 of the published labels of the test images, one byte each, in the canonical order: the file
# of a leaderboard may be a stranger's, and is believed only if it has these.
_SHA256 = {
    "cifar10": "31f8f830ee015ab9e1df4f27fda75b9c3b5bc7d90f7d91904ec2c357b51b97b3",
    "cifar100": "605bdad7122c3d90830812624b589bd06c1c2a8fd937efd16f659a53330353a8",
}


class Labels(NamedTuple):
    """Labels of the test images of a dataset.

    test: class indices, in the order of the test images.
    dataset_sha256: of the dataset that they belong to.
    """

    test: list[int]
    dataset_sha256: str


def test_labels(dataset: str, leaderboard: Path) -> Labels | None:
    """Return the published labels of a dataset's test images.

    dataset: its id.
    leaderboard: folder with labels/<dataset>.json.

    Returns None for a dataset whose labels are not known here, and where there is no such file.

    Raises UserError when: the file cannot be read, or its labels are not the published ones.
    """
    if dataset == digits.DIGITS:
        loaded = digits.load()
        return Labels(loaded.test.labels.tolist(), loaded.sha256)
    if dataset not in _SHA256:
        return None
    path = leaderboard / LABELS / f"{dataset}.json"
    try:
        content = parse_json(path.read_bytes())
        test = predictions.decode(content["test"], _MOST_CLASSES)
        sha256 = content["dataset_sha256"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, UserError) as error:
        raise UserError(f"{path}: cannot be read as labels ({error}).") from None
    found = hashlib.sha256(bytes(test)).hexdigest()
    if found != _SHA256[dataset] or sha256 != PUBLISHED[dataset].sha256:
        raise UserError(
            f"{path}: these are not the published labels of {PUBLISHED[dataset].title} (sha256 "
            f"{found[:12]}…, published {_SHA256[dataset][:12]}…). Restore the file of the suite."
        )
    return Labels(test.tolist(), sha256)
