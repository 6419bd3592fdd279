"""Parquet files by split, wherever they lie below the dataset's folder."""

import pytest
from helpers.disk_datasets import png, random_pixels

from dstbench.data.sources.parquet_files import recognises, split_files, split_name
from dstbench.errors import UserError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(folder):
    """Return split → files below the folder, and the notes."""
    assert recognises(folder)
    files = split_files(folder)
    splits = {"train": files.train} | files.tests
    names = {split: [str(p.relative_to(folder)) for p in paths] for split, paths in splits.items()}
    return names, files.notes


@pytest.mark.parametrize(
    "where", ["", "data/", "plain_text/", "default/train/", "train/", "partial-train/"]
)
def test_training_files_are_found_in_every_layout(tmp_path, where):
    name = f"{where}0000.parquet" if where.endswith("train/") else f"{where}train-0.parquet"
    touch(tmp_path, name, ".cache/train-0.parquet", "README.md")
    assert found(tmp_path) == ({"train": [name]}, ())


def test_shards_with_a_fingerprint_each_are_one_set(tmp_path):
    names = ["train-00000-of-00002-aa.parquet", "train-00001-of-00002-bb.parquet"]
    touch(tmp_path, *names, "test-00000-of-00001.parquet", "validation-00000-of-00001.PARQUET")
    assert found(tmp_path)[0] == {
        "train": names,
        "test": ["test-00000-of-00001.parquet"],
        "val": ["validation-00000-of-00001.PARQUET"],
    }


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["train-00000-of-00002.parquet"], ["train-00001-of-00002.parquet is missing"]),
        (["00001-of-00002.parquet"], ["00000-of-00002.parquet is missing"]),
        (
            ["train-00000-of-00001-aa.parquet", "train-00000-of-00001-bb.parquet"],
            ["bb.parquet and train-00000-of-00001-aa.parquet are the same shard"],
        ),
        (
            ["train-00000-of-00001.parquet", "train-0-of-2.parquet", "train-1-of-2.parquet"],
            ["two sets of shards"],
        ),
        (["test.parquet"], ["test.parquet", "no training images"]),
        (["a/train.parquet", "b/train.parquet"], ["2 configurations: a, b", "--dataset", "/a"]),
    ],
)
def test_incomplete_or_ambiguous_files_are_refused(tmp_path, names, words):
    touch(tmp_path, *names)
    with pytest.raises(UserError) as error:
        split_files(tmp_path)
    assert all(word in error.value.message for word in words)


def test_files_of_no_split_are_training_images_unless_there_are_others(tmp_path):
    touch(tmp_path, "one/a.parquet")
    assert found(tmp_path / "one") == ({"train": ["a.parquet"]}, ())
    touch(tmp_path, "two/a.parquet", "two/train.parquet", "two/b/test.parquet")
    assert found(tmp_path / "two")[1] == ("not used: a.parquet, b/test.parquet.",)


def test_images_beside_parquet_files_are_named_and_decide_without_a_split(tmp_path):
    touch(tmp_path, "hub/train.parquet", "folder/labels.parquet")
    for name in ("hub/assets", "folder/cat"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(png(random_pixels(1)[0]))
    assert found(tmp_path / "hub")[1] == ("not used: the images in assets/.",)
    assert not recognises(tmp_path / "folder")


def test_split_is_named_by_its_first_file(tmp_path):
    files = [tmp_path / f"test/{i}.parquet" for i in range(3)]
    assert split_name(tmp_path, files) == "test/0.parquet (and 2 more)"
