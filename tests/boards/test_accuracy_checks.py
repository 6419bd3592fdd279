"""The accuracies of a record against its protocol."""

import pytest
from helpers.record_factory import make_record

from dstbench.boards.accuracy_checks import accuracy_problems

EMPTY = {"test_at_best_val": None, "best_val": None, "best_epoch": None}


def problems(**changes):
    record = make_record(protocol="all_images")
    record["accuracy"] |= {"shown": "test_final", "val_final": 90.01, **EMPTY, **changes}
    return list(accuracy_problems(record))


def test_all_images_record_has_the_final_epoch_alone():
    assert problems(test_final=90.01) == []  # of 10,000 images each


@pytest.mark.parametrize("key, value", [("best_val", 90.0), ("test_at_best_val", 90.0),
                                        ("best_epoch", 3)])  # fmt: skip
def test_all_images_record_with_a_best_epoch_is_refused(key, value):
    assert any("chooses no epoch" in problem for problem in problems(**{key: value}))
