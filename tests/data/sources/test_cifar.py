"""CIFAR's original files: verified before they are opened; a failed download leaves none."""

import hashlib
import os
import pickle
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from helpers.disk_datasets import data_root, random_pixels, refused

from dstbench.data import datasets
from dstbench.data.sources import cifar
from dstbench.errors import UserError


@pytest.fixture
def root(tmp_path, monkeypatch):
    return data_root(tmp_path, monkeypatch)


def write_cifar(name: str, root: Path, monkeypatch, content: dict[str, object]) -> Path:
    """Write fake original files, and replace the published MD5 by theirs."""
    original = cifar.ORIGINALS[name]
    folder = root / original.folder
    folder.mkdir(parents=True)
    digests = {}
    for file, value in content.items():
        (folder / file).write_bytes(pickle.dumps(value))
        digests[file] = hashlib.md5((folder / file).read_bytes()).hexdigest()

    def known(files):
        return {file: digests[file] for file in files}

    faked = replace(
        original, train=known(original.train), test=known(original.test), meta=known(original.meta)
    )
    monkeypatch.setitem(cifar.ORIGINALS, name, faked)
    return folder


def planes(pixels: np.ndarray) -> np.ndarray:
    """The rows of a CIFAR file, from (n, 32, 32, 3)."""
    return pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)


@pytest.fixture
def cifar10(root, monkeypatch):
    pixels = random_pixels(24, (32, 32, 3))
    labels = [i % 3 for i in range(24)]
    files = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    content: dict[str, object] = {
        file: {"data": planes(pixels[4 * i : 4 * i + 4]), "labels": labels[4 * i : 4 * i + 4]}
        for i, file in enumerate(files)
    }
    content["batches.meta"] = {"label_names": ["ant", "bee", "cow"]}
    return write_cifar("cifar10", root, monkeypatch, content), pixels, labels


def test_cifar10_is_read_in_order(cifar10):
    _, pixels, labels = cifar10
    loaded = datasets.load("cifar10")
    assert (loaded.train.pixels == pixels[:20]).all() and (loaded.test.pixels == pixels[20:]).all()
    assert loaded.train.labels.tolist() == labels[:20]
    assert loaded.test.labels.tolist() == labels[20:]
    assert loaded.name == "cifar10" and loaded.classes == ("ant", "bee", "cow")


def test_cifar100_uses_fine_labels(root, monkeypatch):
    pixels = random_pixels(6, (32, 32, 3))

    def part(rows, fine):
        return {"data": planes(rows), "fine_labels": fine, "coarse_labels": [9] * len(fine)}

    content = {
        "train": part(pixels[:4], [0, 1, 1, 0]),
        "test": part(pixels[4:], [1, 0]),
        "meta": {"fine_label_names": ["oak", "pine"], "coarse_label_names": ["tree"]},
    }
    write_cifar("cifar100", root, monkeypatch, content)
    loaded = datasets.load("cifar100")
    assert loaded.train.labels.tolist() == [0, 1, 1, 0] and loaded.classes == ("oak", "pine")


@pytest.mark.parametrize("name", cifar.ORIGINALS)
def test_cifar_checksums_equal_torchvisions(name):
    import torchvision

    ours = cifar.ORIGINALS[name]
    theirs = getattr(torchvision.datasets, ours.loader)
    assert ours.folder == theirs.base_folder
    assert list(ours.train.items()) == [tuple(entry) for entry in theirs.train_list]
    assert list(ours.test.items()) == [tuple(entry) for entry in theirs.test_list]
    assert ours.meta == {theirs.meta["filename"]: theirs.meta["md5"]}
    assert ours.names_key == theirs.meta["key"]


def test_missing_cifar_file_is_named_with_a_remedy(cifar10):
    folder, *_ = cifar10
    (folder / "data_batch_3").unlink()
    refused("cifar10", folder / "data_batch_3", "missing", "data fetch cifar10", "--data-root")
    assert "lacks data_batch_3" in datasets.names(None)["cifar10"].replace(f"{folder} ", "")


def test_half_downloaded_cifar_file_is_named(cifar10):
    folder, *_ = cifar10
    content = (folder / "test_batch").read_bytes()
    (folder / "test_batch").write_bytes(content[:100])
    refused("cifar10", folder / "test_batch", "100 bytes", "corrupt or half downloaded", "fetch")


class Trap:
    """Creates a folder when unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_cifar_pickle_with_wrong_md5_is_not_opened(cifar10, tmp_path):
    folder, *_ = cifar10
    (folder / "data_batch_1").write_bytes(pickle.dumps(Trap(tmp_path / "created")))
    refused("cifar10", folder / "data_batch_1", "corrupt")
    assert not (tmp_path / "created").exists()


class Unreachable:
    """A download that fails half-way."""

    def __init__(self, root, download):
        (Path(root) / "half.tar.gz").write_bytes(b"half")
        raise URLError("no route to host")


@pytest.mark.parametrize("where", [".", "data", "new/data"])
def test_failed_fetch_leaves_no_files(tmp_path, monkeypatch, where):
    monkeypatch.setattr("torchvision.datasets.CIFAR10", Unreachable)
    with pytest.raises(UserError, match=r"cifar10 could not be fetched.*no route to host"):
        datasets.fetch("cifar10", tmp_path / where)
    assert not any(tmp_path.iterdir())


def test_fetch_replaces_corrupt_files_only(cifar10, root, monkeypatch):
    folder, pixels, _ = cifar10
    intact = {path.name: path.read_bytes() for path in folder.iterdir()}
    calls = []

    class Server:
        def __init__(self, root, download):
            calls.append(root)
            copy = Path(root) / folder.name
            copy.mkdir()
            for name, content in intact.items():
                (copy / name).write_bytes(content)

    monkeypatch.setattr("torchvision.datasets.CIFAR10", Server)
    assert datasets.fetch("cifar10", None) == folder and not calls
    (folder / "test_batch").write_bytes(b"")
    assert datasets.fetch("cifar10", None) == folder and len(calls) == 1
    assert (datasets.load("cifar10").test.pixels == pixels[20:]).all()
    assert [path.name for path in root.iterdir()] == [folder.name]


def test_fetch_refuses_other_datasets():
    with pytest.raises(UserError, match="embedded"):
        datasets.fetch("digits", None)
    with pytest.raises(UserError, match="Did you mean 'cifar10'"):
        datasets.fetch("cifar-10", None)
