"""Splits with a text file of classes, as Tiny ImageNet's, and faults in it."""

import pytest
from helpers.disk_datasets import colour_image, data_root, refused

from dstbench.data import datasets


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Tiny ImageNet as it is unpacked, small."""
    folder = data_root(tmp_path, monkeypatch) / "tiny"
    for name in ("n01", "n02"):
        (folder / f"train/{name}/images").mkdir(parents=True)
        (folder / f"train/{name}/{name}_boxes.txt").write_text("n01_0.JPEG\t0\t0\t9\t9\n")
        for i in range(3):
            colour_image(0).save(folder / f"train/{name}/images/{name}_{i}.JPEG")
    for split in ("val", "test"):
        (folder / split / "images").mkdir(parents=True)
        for i in range(3):
            colour_image(0).save(folder / f"{split}/images/{split}_{i}.JPEG")
    lines = [f"val_{i}.JPEG\tn0{1 + i % 2}\t0\t0\t9\t9\n" for i in (2, 0, 1)]
    (folder / "val/val_annotations.txt").write_text("".join(lines))
    (folder / "wnids.txt").write_text("n01\nn02\n")
    return folder


def test_tiny_imagenet_loads_as_unpacked(tiny):
    loaded = datasets.load("tiny")
    assert loaded.name == "tiny" and loaded.classes == ("n01", "n02")
    assert loaded.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert loaded.test.labels.tolist() == [0, 0, 1]
    notes = " ".join(loaded.notes)
    for words in ("test/ has no labels", "val/ is used for testing", "2 files"):
        assert words in notes


def test_encoded_tiny_imagenet_has_the_same_labels_and_a_hash_of_them(tiny):
    before = datasets.load_encoded("tiny")
    names = [before.test.locations.at(i).where.rpartition("/")[2] for i in range(3)]
    assert names == ["val_0.JPEG", "val_2.JPEG", "val_1.JPEG"]
    text = (tiny / "val/val_annotations.txt").read_text()
    (tiny / "val/val_annotations.txt").write_text(
        text.replace("val_0.JPEG\tn01", "val_0.JPEG\tn02")
    )
    assert datasets.load_encoded("tiny").sha256 != before.sha256


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("val_0.JPEG\tn01\n", ["val_1.JPEG has no line"]),
        ("val_0.JPEG\tn01\nval_0.JPEG\tn02\n", ["annotations.txt:2", "second time"]),
        ("val_0.JPEG n01\n", ["annotations.txt:1", "no tab"]),
        ("".join(f"val_{i}.JPEG\tn01\n" for i in range(4)), ["val_3.JPEG is missing"]),
        ("".join(f"val_{i}.JPEG\tn09\n" for i in range(3)), ["n09: no such class", "n01, n02"]),
    ],
)
def test_faults_of_the_text_file_are_named(tiny, text, words):
    (tiny / "val/val_annotations.txt").write_text(text)
    refused("tiny", *words)


def test_text_file_that_is_no_text_is_named(tiny):
    for image in (tiny / "val/images").iterdir():
        image.unlink()
    (tiny / "val/val_annotations.txt").write_text("")
    refused("tiny", "val_annotations.txt", "has no line")
    (tiny / "val/val_annotations.txt").write_bytes(b"\xff\xfe\x00")
    refused("tiny", "val_annotations.txt", "UTF-8")
