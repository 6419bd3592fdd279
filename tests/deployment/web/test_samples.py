"""Which test images a page offers."""

import numpy as np

from dstbench.deployment.web.samples import chosen


def test_first_two_of_few_classes_class_by_class():
    labels = np.array([1, 0, 1, 1, 0, 2, 2])
    assert chosen(labels, 3) == [1, 0, 5, 4, 2, 6]


def test_a_class_with_one_image_gives_one():
    assert chosen(np.array([1, 0, 1]), 2) == [1, 0, 2]


def test_many_classes_give_one_each_evenly_spaced():
    labels = np.arange(100)[::-1].copy()
    found = chosen(labels, 100)
    assert labels[found].tolist() == list(range(0, 100, 5))
