"""Labels of parquet files: any whole numbers and text; -1 stands for no label."""

import json

import numpy as np
import pyarrow as pa
import pytest
from helpers.disk_datasets import data_root, png, random_pixels, refused, write_parquet

from dstbench.data import datasets

NAMES = json.dumps({"info": {"features": {"label": {"names": ["ant", "bee", "cow"]}}}})


@pytest.fixture
def root(tmp_path, monkeypatch):
    return data_root(tmp_path, monkeypatch)


def write(folder, train, metadata=None, **others):
    """Write parquet files of these labels, by split."""
    for split, labels in {"train": train, **others}.items():
        images = [png(p) for p in random_pixels(len(labels))]
        metadata_ = {"huggingface": metadata} if metadata else None
        write_parquet(folder / f"{split}.parquet", images, labels, metadata=metadata_)


@pytest.mark.parametrize(
    ("train", "test", "classes", "numbers"),
    [
        ([3, 7, 3], [7, 3], ("3", "7"), [0, 1, 0]),
        ([1, 2, 10**12], [2], ("1", "2", str(10**12)), [0, 1, 2]),
        ([-1, 1, 1], [1, -1], ("-1", "1"), [0, 1, 1]),
        (["dog", "cat", "Ü b"], ["cat"], ("cat", "dog", "Ü b"), [1, 0, 2]),
        ([2.0, 1.0, 2.0], [1.0], ("1", "2"), [1, 0, 1]),
        ([True, False, True], [False], ("false", "true"), [1, 0, 1]),
        (pa.array(["b", "a", "b"]).dictionary_encode(), ["a"], ("a", "b"), [1, 0, 1]),
    ],
)
def test_labels_of_any_values_are_numbered_in_order(root, train, test, classes, numbers):
    write(root / "hub", train, test=test)
    for loaded in (datasets.load("hub"), datasets.load_encoded("hub")):
        assert loaded.classes == classes and loaded.train.labels.tolist() == numbers
        assert loaded.train.labels.dtype == np.int64 == loaded.test.labels.dtype


def test_numbers_that_are_no_places_are_said(root):
    write(root / "hub", [3, 7, 3], test=[7, 3])
    assert datasets.load("hub").notes == ("the labels 3, 7 are 2 classes, numbered in this order.",)


@pytest.mark.parametrize("metadata", [None, NAMES])
@pytest.mark.parametrize("none", [[-1, -1], [None, None]])
def test_unlabelled_test_rows_give_way_to_labelled_ones(root, none, metadata):
    none = pa.array(none, pa.int64())
    write(root / "hub", [0, 1, 2], metadata, test=none, validation=[2, 1, 0])
    loaded = datasets.load("hub")
    assert loaded.test.labels.tolist() == [2, 1, 0]
    assert "test.parquet has no labels" in loaded.notes[0]
    assert "validation.parquet is used" in loaded.notes[1]
    (root / "hub/validation.parquet").unlink()
    write(root / "hub", [0, 1, 2] * 2, metadata, test=none)
    assert len(datasets.load("hub").test) == 3


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        ([0, -1, 1], [0], ["train.parquet, row 1", "label -1", "no label"]),
        ([-1, -1, -1], [0], ["train.parquet, row 0", "label -1"]),
        ([1, 3], [3, 2], ["test.parquet, row 1", "label 2", "1, 3"]),
        (["a", "b"], ["c"], ["test.parquet, row 0", "label c", "a, b"]),
        (["0", "1"], [0, 1], ["test.parquet", "whole numbers", "text"]),
        ([0, 1], [0, None], ["whole numbers", "1 rows"]),
        ([0.5, 1], [1], ["whole numbers", "double"]),
        ([[0], [1]], [[1]], ["whole numbers", "list"]),
    ],
)
def test_wrong_labels_are_named_with_file_and_row(root, train, test, words):
    write(root / "hub", train, test=test)
    refused("hub", *words)


def test_label_outside_the_class_names_is_named(root):
    write(root / "hub", [0, 1, -1], NAMES, test=[0])
    refused("hub", "train.parquet, row 2", "label -1", "0 … 2")
    write(root / "hub", [0, 1], NAMES, test=[0, 3])
    refused("hub", "test.parquet, row 1", "label 3", "0 … 2")


def test_test_rows_that_lack_a_class_are_said(root):
    write(root / "hub", [0, 1, 2], NAMES, test=[1, 1])
    assert datasets.load("hub").notes == ("test.parquet has no image of ant, cow.",)


def test_files_with_labels_of_two_types_are_refused(root):
    write(root / "hub", [0, 1], test=[0, 1])
    images = [png(p) for p in random_pixels(2)]
    write_parquet(root / "hub/train2.parquet", images, ["a", "b"])
    refused("hub", "some files are text", "others whole numbers")
