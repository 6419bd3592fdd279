"""Datasets by id: the embedded one, unknown ids, and the folders that are searched."""

from pathlib import Path

import numpy as np
import pytest
from helpers.disk_datasets import data_root, refused, write_folder, write_hub

from dstbench.data import datasets
from dstbench.errors import UserError


@pytest.fixture
def root(tmp_path, monkeypatch):
    return data_root(tmp_path, monkeypatch)


def test_digits_equal_scikit_learns_each_once():
    from sklearn.datasets import load_digits

    digits = datasets.load("digits")
    assert digits.train.pixels.shape == (1438, 8, 8, 1)
    assert digits.test.pixels.shape == (359, 8, 8, 1)
    assert digits.train.pixels.dtype == np.uint8 and digits.train.labels.dtype == np.int64
    assert digits.classes == tuple("0123456789")

    def rows(pixels, labels):
        return sorted(map(tuple, np.column_stack([pixels.reshape(len(labels), -1), labels])))

    ours = [
        np.concatenate([getattr(i, kind) for i in (digits.train, digits.test)])
        for kind in ("pixels", "labels")
    ]
    theirs = load_digits()
    assert rows(*ours) == rows(theirs.images * 15, theirs.target)


def test_digits_sha256_is_unchanged():
    assert datasets.load("digits").sha256.startswith("69467d8c93d871da")


def test_unknown_dataset_ids_are_refused(root):
    write_folder(root / "pets")
    refused("cifar1O", root, "Did you mean 'cifar10'?")
    refused("pet", "Did you mean 'pets'?", "--data-root", "DSTBENCH_DATA")
    for name in ("", ".", "..", "../data", "pets/train", str(root / "pets")):
        refused(name, "no dataset")


def test_names_lists_datasets_with_their_state(root):
    write_folder(root / "pets")
    write_hub(root / "hub")
    (root / "notes").mkdir()
    states = datasets.names(None)
    assert list(states) == ["digits", "cifar10", "cifar100", "hub", "pets"]
    assert "embedded" in states["digits"] and str(root / "pets") in states["pets"]
    assert "not found" in states["cifar100"] and "data fetch cifar100" in states["cifar100"]
    assert list(datasets.names(root / "nowhere")) == ["digits", "cifar10", "cifar100"]


def test_data_root_and_cache_arguments_override_the_environment(root, tmp_path, monkeypatch):
    other = tmp_path / "other"
    write_folder(other / "pets")
    assert datasets.load("pets", other, tmp_path / "second").name == "pets"
    assert any((tmp_path / "second").iterdir()) and not (tmp_path / "cache").exists()
    monkeypatch.delenv("DSTBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    datasets.load("pets", other)
    assert any((tmp_path / "xdg/dstbench").iterdir())
    monkeypatch.delenv("DSTBENCH_DATA")
    assert datasets.root_of(None) == Path("data")


def test_digits_have_no_encoded_images():
    with pytest.raises(UserError, match="@Pipeline"):
        datasets.load_encoded("digits")


def test_datasets_of_the_suite_are_not_scaled():
    with pytest.raises(UserError, match=r"8 × 8 pixels, not scaled to 64"):
        datasets.load("digits", size=64)
    assert datasets.load("digits", size=8).sha256 == datasets.load("digits").sha256


def test_folder_of_the_name_here_is_pointed_out(root, monkeypatch):
    write_folder(root.parent / "pets")
    monkeypatch.chdir(root.parent)
    refused("pets", "give it as ./pets")
