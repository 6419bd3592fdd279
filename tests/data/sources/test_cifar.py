"""CIFAR's original files: read without executing code; a failed download leaves none."""

import os
import pickle
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from helpers.disk_datasets import data_root, refused
from helpers.small_cifar import CLASSES, cifar_file, publish_small, small_splits, write_originals

from dstbench.data import datasets
from dstbench.data.sources import cifar
from dstbench.data.sources.published import PUBLISHED
from dstbench.errors import UserError


@pytest.fixture
def root(tmp_path, monkeypatch):
    return data_root(tmp_path, monkeypatch)


@pytest.fixture
def cifar10(root, monkeypatch):
    """The folder of a small cifar10's original files."""
    train, test = publish_small(monkeypatch)
    return write_originals(root / "cifar-10-batches-py", "cifar10", train, test)


def test_original_files_hold_all_images_with_their_labels(cifar10):
    loaded = datasets.load("cifar10")
    train, test = small_splits()
    for ours, theirs in ((loaded.train, train), (loaded.test, test)):
        pairs = zip(theirs.pixels, theirs.labels.tolist(), strict=True)
        published = {image.tobytes(): label for image, label in pairs}
        assert len(ours) == len(theirs)
        assert all(
            published[image.tobytes()] == label
            for image, label in zip(ours.pixels, ours.labels.tolist(), strict=True)
        )
    assert loaded.name == "cifar10" and loaded.classes == CLASSES


def test_cifar100_uses_fine_labels(root, monkeypatch):
    train, test = publish_small(monkeypatch, "cifar100")
    write_originals(root / "cifar-100-python", "cifar100", train, test)
    loaded = datasets.load("cifar100")
    assert sorted(loaded.train.labels.tolist()) == sorted(train.labels.tolist())


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_original_files_of_every_pickle_protocol_are_read(root, monkeypatch, protocol):
    train, test = publish_small(monkeypatch)
    write_originals(root / "cifar-10-batches-py", "cifar10", train, test, protocol)
    assert datasets.load("cifar10").sha256 == PUBLISHED["cifar10"].sha256


@pytest.mark.parametrize("folder", ["cifar10/cifar-10-batches-py", "cifar10"])
def test_original_files_are_found_in_the_folder_of_the_id(root, monkeypatch, folder):
    train, test = publish_small(monkeypatch)
    write_originals(root / folder, "cifar10", train, test)
    assert datasets.load("cifar10").sha256 == PUBLISHED["cifar10"].sha256


@pytest.mark.parametrize("name", cifar.ORIGINALS)
def test_cifar_file_names_equal_torchvisions(name):
    import torchvision

    ours = cifar.ORIGINALS[name]
    theirs = getattr(torchvision.datasets, ours.loader)
    assert ours.folder == theirs.base_folder
    assert list(ours.train) == [file for file, _ in theirs.train_list]
    assert [ours.test] == [file for file, _ in theirs.test_list]
    assert (ours.meta, ours.names_key) == (theirs.meta["filename"], theirs.meta["key"])


def test_missing_cifar_file_is_named_with_a_remedy(cifar10):
    missing = cifar10 / "data_batch_3"
    missing.unlink()
    refused("cifar10", missing, "missing", "data fetch cifar10", "--data-root")
    state = datasets.names(None)["cifar10"]
    assert state.startswith(f"not found: {missing} is missing") and "data fetch cifar10" in state


def test_half_downloaded_cifar_file_is_named(cifar10):
    path = cifar10 / "test_batch"
    path.write_bytes(path.read_bytes()[:100])
    refused("cifar10", path, "100 bytes", "corrupt or half downloaded", "fetch")


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        {"data": np.zeros((2, 7), np.uint8), "labels": [0, 1]},
        {"labels": [0, 1]},
        {"data": "text", "labels": [0, 1]},
    ],
)
def test_cifar_file_of_other_content_is_named(cifar10, content):
    (cifar10 / "data_batch_2").write_bytes(pickle.dumps(content))
    refused("cifar10", cifar10 / "data_batch_2", "corrupt")


def test_labels_outside_the_classes_are_refused(cifar10):
    train, _ = small_splits()
    part = train[:4]
    content = cifar_file("cifar10", part.pixels, part.labels + 256)
    (cifar10 / "data_batch_1").write_bytes(pickle.dumps(content))
    refused("cifar10", "labels other than 0 … 2")


class Trap:
    """Creates a folder when unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_code_in_a_cifar_pickle_is_not_executed(cifar10, tmp_path):
    (cifar10 / "data_batch_1").write_bytes(pickle.dumps(Trap(tmp_path / "created")))
    refused("cifar10", cifar10 / "data_batch_1", "corrupt", "mkdir")
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


def test_fetch_replaces_damaged_files_only(cifar10, root, monkeypatch):
    intact = {path.name: path.read_bytes() for path in cifar10.iterdir()}
    calls = []

    class Server:
        def __init__(self, root, download):
            calls.append(root)
            copy = Path(root) / cifar10.name
            copy.mkdir()
            for name, content in intact.items():
                (copy / name).write_bytes(content)

    monkeypatch.setattr("torchvision.datasets.CIFAR10", Server)
    assert datasets.fetch("cifar10", None) == cifar10 and not calls
    (cifar10 / "test_batch").write_bytes(b"")
    assert datasets.fetch("cifar10", None) == cifar10 and len(calls) == 1
    assert datasets.load("cifar10").sha256 == PUBLISHED["cifar10"].sha256
    assert [path.name for path in root.iterdir()] == [cifar10.name]


def test_fetch_refuses_downloaded_images_that_differ(cifar10, monkeypatch, tmp_path):
    class Server:
        def __init__(self, root, download):
            train, test = small_splits(seed=1)
            write_originals(Path(root) / cifar10.name, "cifar10", train, test)

    monkeypatch.setattr("torchvision.datasets.CIFAR10", Server)
    with pytest.raises(UserError, match=r"could not be fetched.*pixels of some training images"):
        datasets.fetch("cifar10", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_fetch_refuses_other_datasets():
    with pytest.raises(UserError, match="embedded"):
        datasets.fetch("digits", None)
    with pytest.raises(UserError, match="Did you mean 'cifar10'"):
        datasets.fetch("cifar-10", None)
