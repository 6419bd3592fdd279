"""Parquet files: every row where it belongs, every fault named."""

import json

import pyarrow as pa
import pytest
from helpers.disk_datasets import data_root, png, refused, write_hub, write_parquet
from pyarrow import parquet as pq

from dstbench.data import datasets


@pytest.fixture
def root(tmp_path, monkeypatch):
    return data_root(tmp_path, monkeypatch)


@pytest.mark.parametrize(("image", "label"), [("img", "label"), ("image", "fine_label")])
def test_parquet_is_read_in_order(root, image, label):
    pixels = write_hub(root / "hub", image, label)
    loaded = datasets.load("hub")
    assert (loaded.train.pixels == pixels[:6]).all() and (loaded.test.pixels == pixels[6:]).all()
    assert loaded.train.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert loaded.test.labels.tolist() == [2, 0]
    assert loaded.classes == ("0", "1", "2")


def test_parquet_class_names_come_from_its_metadata(root):
    features = {"label": {"names": ["ant", "bee", "cow", "dog"], "_type": "ClassLabel"}}
    write_hub(root / "hub", metadata={"huggingface": json.dumps({"info": {"features": features}})})
    assert datasets.load("hub").classes == ("ant", "bee", "cow", "dog")


def test_validation_file_stands_in_for_test(root):
    pixels = write_hub(root / "hub")
    (root / "hub/test.parquet").rename(root / "hub/validation.parquet")
    assert (datasets.load("hub").test.pixels == pixels[6:]).all()
    (root / "hub/validation.parquet").unlink()
    refused("hub", root / "hub", "test*.parquet or validation*.parquet")


def test_missing_shard_is_named(root):
    write_hub(root / "hub")
    (root / "hub/train-00001-of-00002.parquet").unlink()
    refused("hub", root / "hub/train-00001-of-00002.parquet", "missing")


@pytest.mark.parametrize("size", [0, 300])
def test_half_downloaded_parquet_is_named(root, size):
    write_hub(root / "hub")
    path = root / "hub/train-00001-of-00002.parquet"
    path.write_bytes(path.read_bytes()[:size])
    refused("hub", path, "half downloaded", f"{size} bytes")


def test_corrupt_image_in_parquet_is_named_by_row(root):
    pixels = write_hub(root / "hub")
    path = root / "hub/test.parquet"
    write_parquet(path, [png(pixels[6]), b"junk"], [2, 0])
    refused("hub", f"{path}, row 1", "not an image", "4 bytes")
    write_parquet(path, [png(pixels[6]), None], [2, 0])
    refused("hub", f"{path}, row 1", "no image bytes")
    write_parquet(path, [], pa.array([], pa.int64()))
    refused("hub", path, "no rows")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([3, 0], ("row 0", "label 3", "0 … 2")),
        ([0, -1], ("row 1", "label -1", "0 … 2")),
        ([0, None], ("whole numbers", "1 rows")),
        (["cat", "dog"], ("whole numbers", "string")),
    ],
)
def test_wrong_test_labels_are_named(root, labels, words):
    pixels = write_hub(root / "hub")
    path = root / "hub/test.parquet"
    write_parquet(path, [png(p) for p in pixels[6:]], labels)
    refused("hub", path, *words)


@pytest.mark.parametrize(
    ("labels", "words"),
    [([1, 2, 3], ("row 0", "label 1", "no training image has label 0")),
     ([0, 1, 10**12], ("row 2", f"label {10**12}", "no training image has label 2"))],
)  # fmt: skip
def test_training_labels_with_gaps_are_refused(root, labels, words):
    pixels = write_hub(root / "hub")
    (root / "hub/train-00001-of-00002.parquet").unlink()
    path = (root / "hub/train-00000-of-00002.parquet").rename(root / "hub/train.parquet")
    write_parquet(path, [png(p) for p in pixels[:3]], labels)
    refused("hub", path, *words)


def test_missing_columns_are_named(root):
    write_hub(root / "hub", image="picture")
    refused("hub", "train-00000-of-00002.parquet", "'img' or 'image'", "picture, label")
    write_hub(root / "hub", label="kind")
    refused("hub", "train-00000-of-00002.parquet", "'label' or 'fine_label'", "img, kind")
    table = pa.table({"img": [[1, 2]], "label": [0]})
    pq.write_table(table, root / "hub/train-00000-of-00002.parquet")
    refused("hub", "train-00000-of-00002.parquet", "list", "struct")
