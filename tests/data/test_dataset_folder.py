"""A dataset given as a folder: its id, and folders that cannot be used."""

from pathlib import Path

import pytest

from dstbench.data.dataset_folder import split_dataset
from dstbench.errors import UserError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name in ("data/flowers/train", "data/digits", "data/cifar-10-batches-py", "data/imagenet"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "data/file.png").touch()
    (tmp_path / "link").symlink_to("data/flowers")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_ids_are_left_alone(folder):
    assert split_dataset("flowers", None) == ("flowers", None)
    assert split_dataset("flowers", folder) == ("flowers", folder)


@pytest.mark.parametrize("text", ["data/flowers", "./data/flowers/", "~/data/flowers"])
def test_name_of_the_folder_is_the_id(folder, text):
    assert split_dataset(text, None) == ("flowers", folder / "data")


def test_folders_are_named_as_they_are_given(folder, monkeypatch):
    assert split_dataset("./link", None) == ("link", folder)
    assert split_dataset("data/imagenet", None) == ("imagenet", folder / "data")
    monkeypatch.chdir("data/flowers")
    assert split_dataset(".", None) == ("flowers", folder / "data")
    assert split_dataset("train/..", None) == ("flowers", folder / "data")


def test_original_files_stand_for_their_dataset(folder):
    assert split_dataset("data/cifar-10-batches-py", None) == ("cifar10", folder / "data")


@pytest.mark.parametrize(
    ("text", "root", "words"),
    [
        ("no/such", None, "no such folder"),
        ("", None, "no such folder"),
        ("data/file.png", None, "is a file"),
        ("data/flowers", Path("data"), "Remove --data-root"),
        ("data/flowers/train", None, "one split of a dataset"),
        ("data/digits", None, "Rename your folder"),
    ],
)
def test_other_folders_are_refused(text, root, words):
    with pytest.raises(UserError, match=words):
        split_dataset(text, root)
