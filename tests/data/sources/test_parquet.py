"""Datasets in parquet files: read in order; the message for a fault names file and row."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from helpers.disk_datasets import (
    colour_image,
    data_root,
    jpeg,
    png,
    refused,
    write_hub,
    write_parquet,
)
from pyarrow import parquet as pq

from dstbench.data import datasets
from dstbench.data.sources.encoded import packed_file
from dstbench.errors import UserError


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


def test_parquet_class_names_come_from_metadata(root):
    features = {"label": {"names": ["ant", "bee", "cow", "dog"], "_type": "ClassLabel"}}
    write_hub(root / "hub", metadata={"huggingface": json.dumps({"info": {"features": features}})})
    assert datasets.load("hub").classes == ("ant", "bee", "cow", "dog")


def test_parquet_validation_file_is_used_without_a_test_file(root):
    pixels = write_hub(root / "hub")
    (root / "hub/test.parquet").rename(root / "hub/validation.parquet")
    assert (datasets.load("hub").test.pixels == pixels[6:]).all()


def test_parquet_without_test_files_gives_up_a_fifth_of_its_rows(root):
    pixels = write_hub(root / "hub")
    (root / "hub/test.parquet").unlink()
    loaded, encoded = datasets.load("hub"), datasets.load_encoded("hub")
    assert loaded.train.labels.tolist() != [] and sorted(loaded.test.labels) == [0, 1, 2]
    both = np.concatenate([loaded.train.pixels, loaded.test.pixels])
    assert sorted(p.tobytes() for p in both) == sorted(p.tobytes() for p in pixels[:6])
    assert "one in 5" in loaded.notes[0] and loaded.notes == encoded.notes
    contents = [encoded.test.locations.at(i).content for i in range(3)]
    assert contents == [png(p) for p in loaded.test.pixels]


def test_missing_parquet_shard_is_named(root):
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
def test_wrong_parquet_test_labels_are_named(root, labels, words):
    pixels = write_hub(root / "hub")
    path = root / "hub/test.parquet"
    write_parquet(path, [png(p) for p in pixels[6:]], labels)
    refused("hub", path, *words)


def test_missing_parquet_columns_are_named(root):
    path = root / "hub/train-00000-of-00002.parquet"
    write_hub(root / "hub")
    pq.write_table(pa.table({"size": [1], "label": [0]}), path)
    refused("hub", path.name, "'img' or 'image'", "size, label")
    images = [{"bytes": b"1"}]
    pq.write_table(pa.table({"photo": images, "mask": images, "label": [0]}), path)
    refused("hub", path.name, "several columns of images: photo, mask")
    pq.write_table(pa.table({"img": images, "kind": [1], "size": [2]}), path)
    refused("hub", path.name, "'label' or 'fine_label'", "img, kind, size")
    pq.write_table(pa.table({"img": [[1, 2]], "label": [0]}), path)
    refused("hub", path.name, "list", "struct")


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_columns_of_other_names_are_found_by_their_types(root, kind):
    pixels = write_hub(root / "hub")
    table = pa.table({"Picture": pa.array([png(p) for p in pixels], kind), "Kind": [0, 1] * 4})
    for path in (root / "hub").iterdir():
        path.unlink()
    pq.write_table(table, root / "hub/train.parquet")
    pq.write_table(table, root / "hub/test.parquet")
    loaded = datasets.load("hub")
    assert (loaded.train.pixels == pixels).all() and loaded.train.labels.tolist() == [0, 1] * 4
    assert loaded.notes == ("the labels are those of column 'Kind'.",)


def test_column_of_labels_that_is_not_used_is_named(root):
    pixels = write_hub(root / "hub", label="fine_label")
    for path in (root / "hub").iterdir():
        table = pq.read_table(path)
        pq.write_table(table.append_column("coarse_label", [[0] * len(table)]), path)
    loaded = datasets.load("hub")
    assert (loaded.train.pixels == pixels[:6]).all() and loaded.classes == ("0", "1", "2")
    note = "the labels are those of column 'fine_label', not of 'coarse_label'."
    assert loaded.notes[0] == note


def test_git_lfs_pointer_of_a_parquet_file_is_recognised(root):
    write_hub(root / "hub")
    (root / "hub/test.parquet").write_text("version https://git-lfs.github.com/spec/v1\n")
    refused("hub", root / "hub/test.parquet", "git lfs pull")


def test_encoded_parquet_is_packed_once_and_read_by_row(root, tmp_path):
    images = [jpeg(colour_image(i, ("RGB", "L", "CMYK")[i % 3])) for i in range(6)]
    write_parquet(root / "hub/train-00000-of-00002.parquet", images[:3], [0, 1, 2])
    write_parquet(root / "hub/train-00001-of-00002.parquet", images[3:5], [2, 0])
    write_parquet(root / "hub/test.parquet", images[5:], [1])
    for _ in range(2):
        found = datasets.load_encoded("hub")
        assert [found.train.locations.at(i).content for i in range(5)] == images[:5]
        assert found.test.locations.at(0).content == images[5] and found.train.labels[4] == 0
    assert len(list((tmp_path / "cache").glob("*.encoded"))) == 2
    assert found.train[np.array([4, 1])].locations.at(0).content == images[4]


DAMAGE = {
    "cut": lambda content: content[:-5],
    "empty": lambda content: b"",
    "an earlier version's": lambda content: content[:-18],
    "table": lambda content: content[:-40] + bytes([content[-40] ^ 1]) + content[-39:],
    "longer": lambda content: b"x" + content,
    "another dataset's": lambda content: packed([b"one", b"two"]),
}


def packed(contents):
    with tempfile.TemporaryDirectory() as folder:
        packed_file(Path(folder) / "x", contents, len(contents))
        return (Path(folder) / "x").read_bytes()


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_cache_of_encoded_images_is_made_again(root, tmp_path, damage, caplog):
    images = [jpeg(colour_image(i)) for i in range(6)]
    write_parquet(root / "hub/train.parquet", images[:5], [0, 1, 2, 0, 1])
    write_parquet(root / "hub/test.parquet", images[5:], [1])
    datasets.load_encoded("hub")
    (path,) = (tmp_path / "cache").glob("*.train.encoded")
    whole = path.read_bytes()
    path.write_bytes(DAMAGE[damage](whole))
    found = datasets.load_encoded("hub")
    assert [found.train.locations.at(i).content for i in range(5)] == images[:5]
    assert path.read_bytes() == whole and "is damaged" in caplog.text


def test_image_that_was_swapped_or_changed_in_the_cache_is_never_trained_on(root, tmp_path):
    images = [jpeg(colour_image(i)) for i in range(2)]
    write_parquet(root / "hub/train.parquet", images, [0, 1])
    write_parquet(root / "hub/test.parquet", images, [0, 1])
    found = datasets.load_encoded("hub")
    (path,) = (tmp_path / "cache").glob("*.train.encoded")
    whole = path.read_bytes()
    path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(UserError, match=r"the image at byte 0 is damaged\. Delete this file"):
        found.train.locations.at(0)
    first, second = whole[: len(images[0])], whole[len(images[0]) :][: len(images[1])]
    path.write_bytes(second + first + whole[len(first) + len(second) :])
    with pytest.raises(UserError, match="is damaged"):
        found.train.locations.at(0)


@pytest.mark.parametrize(
    ("labels", "words"),
    [([0, 1, 0.5], ["whole numbers", "double"]), ([0, 1, None], ["whole numbers"])],
)
def test_encoded_parquet_with_wrong_labels_is_refused(root, labels, words):
    write_parquet(root / "hub/train.parquet", [jpeg(colour_image(0))] * 3, labels)
    write_parquet(root / "hub/test.parquet", [jpeg(colour_image(0))], [0])
    with pytest.raises(UserError) as error:
        datasets.load_encoded("hub")
    assert all(word in error.value.message for word in words)


def test_damaged_encoded_parquet_is_named(root):
    write_parquet(root / "hub/train.parquet", [jpeg(colour_image(0))] * 3, [0, 1, 2])
    (root / "hub/test.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"test\.parquet is corrupt or half downloaded"):
        datasets.load_encoded("hub")
