"""Names of splits."""

from pathlib import Path

import pytest

from dstbench.data.sources.split_names import split_of_file, split_of_folder


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"), ("Training", "train"), ("partial-train", "train"), ("TEST", "test"),
        ("val", "val"), ("valid", "val"), ("validation", "val"), ("dev", "val"),
        ("trains", None), ("cat", None),
    ],
)  # fmt: skip
def test_folder_names(name, split):
    assert split_of_folder(name) == split


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-00000-of-00001.parquet", "train"), ("test.parquet", "test"),
        ("validation-0.parquet", "val"), ("Val.parquet", "val"), ("0000.parquet", None),
    ],
)  # fmt: skip
def test_file_names(name, split):
    assert split_of_file(Path(name)) == split
