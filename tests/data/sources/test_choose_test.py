"""The images that test: those with labels; else a part of the training images."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstbench.data.sources.choose_test import absent_classes, choose_test, hold_out
from dstbench.errors import UserError

NAMES = {"test": "test/", "val": "valid/"}


@pytest.mark.parametrize(
    ("labelled", "chosen", "words"),
    [
        ({"test": True}, "test", []),
        ({"val": True}, "val", ["valid/ is used"]),
        ({"test": True, "val": True}, "test", ["test/ is used", "valid/ is not used"]),
        ({"test": True, "val": False}, "test", ["valid/ has no labels and is not used"]),
        ({"test": False, "val": True}, "val", ["test/ has no labels", "valid/ is used"]),
        ({"test": False}, None, ["test/ has no labels", "one in 5 training images"]),
        ({}, None, ["one in 5 training images"]),
    ],
)
def test_labelled_split_is_chosen_and_the_choice_is_said(labelled, chosen, words):
    found, notes = choose_test(Path("pets"), labelled, NAMES)
    assert found == chosen and (bool(notes) == bool(words))
    assert all(word in " ".join(notes) for word in words)


def test_validation_images_without_labels_are_refused():
    with pytest.raises(UserError, match="valid/ has no labels"):
        choose_test(Path("pets"), {"test": False, "val": False}, NAMES)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=60).filter(lambda x: len(set(x)) < len(x)))
def test_held_out_images_are_a_fifth_of_every_class(labels):
    labels = np.array(labels)
    train, test = hold_out(Path("pets"), labels)
    assert sorted([*train, *test]) == list(range(len(labels)))
    assert (np.diff(train) > 0).all() and (np.diff(test) > 0).all()
    for label in set(labels.tolist()):
        count = int((labels == label).sum())
        assert (labels[test] == label).sum() == max(count // 5, int(count > 1))
    again = hold_out(Path("others"), labels)
    assert (again[0] == train).all() and (again[1] == test).all()


def test_classes_of_one_image_each_cannot_be_held_out():
    with pytest.raises(UserError, match="no class has two images"):
        hold_out(Path("pets"), np.arange(4))


def test_classes_without_test_images_are_named():
    assert absent_classes("test/", np.array([0, 1, 0]), ("a", "b")) == []
    assert absent_classes("test/", np.array([1]), ("a", "b", "c")) == [
        "test/ has no image of a, c."
    ]
