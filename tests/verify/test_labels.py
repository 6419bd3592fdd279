"""Test labels are believed only if they are the published ones."""

import json
import shutil
from pathlib import Path

import pytest

from dstbench.data.sources.published import PUBLISHED
from dstbench.errors import UserError
from dstbench.recording import predictions
from dstbench.verify import labels

LEADERBOARD = Path(__file__).parents[2] / "leaderboard"


@pytest.mark.parametrize("dataset", PUBLISHED)
def test_labels_of_the_suite_are_the_published_ones(dataset):
    found = labels.test_labels(dataset, LEADERBOARD)
    assert len(found.test) == PUBLISHED[dataset].test.count
    assert found.dataset_sha256 == PUBLISHED[dataset].sha256


@pytest.fixture
def foreign(tmp_path):
    """Return a function that changes the labels of a copied leaderboard, and returns it."""
    shutil.copytree(LEADERBOARD / "labels", tmp_path / "labels")
    path = tmp_path / "labels/cifar10.json"

    def change(**content):
        path.write_text(json.dumps(json.loads(path.read_text()) | content))
        return tmp_path

    return change


def test_one_other_label_is_refused(foreign):
    content = labels.test_labels("cifar10", LEADERBOARD).test
    content[7] = (content[7] + 1) % 10
    with pytest.raises(UserError, match="not the published labels of CIFAR-10"):
        labels.test_labels("cifar10", foreign(test=predictions.encode(content, 256)))


@pytest.mark.parametrize("change", [{"dataset_sha256": "0" * 64}, {"test": "eNo="}, {"test": 7}])
def test_damaged_labels_are_refused(foreign, change):
    with pytest.raises(UserError, match=r"cifar10\.json"):
        labels.test_labels("cifar10", foreign(**change))


def test_labels_of_an_unknown_dataset_are_not_read_from_a_leaderboard(foreign):
    folder = foreign()
    shutil.copy(folder / "labels/cifar10.json", folder / "labels/mine.json")
    assert labels.test_labels("mine", folder) is None
    assert labels.test_labels("digits", folder) is not None
    (folder / "labels/cifar10.json").unlink()
    assert labels.test_labels("cifar10", folder) is None
