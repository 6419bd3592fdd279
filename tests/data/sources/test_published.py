"""CIFAR-10 by content: one dataset from every container; other images are refused."""

import base64
import io
import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from helpers.disk_datasets import data_root, refused
from helpers.small_cifar import (
    CLASSES,
    publish_small,
    webp,
    write_class_folders,
    write_originals,
    write_shards,
)
from PIL import Image

from dstbench.data import datasets
from dstbench.data.dataset_folder import split_dataset
from dstbench.data.images import Images
from dstbench.data.sources import cache
from dstbench.data.sources.cifar import ORIGINALS
from dstbench.data.sources.published import PUBLISHED

ROOT = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path, monkeypatch):
    return data_root(tmp_path, monkeypatch)


@pytest.fixture
def splits(monkeypatch):
    return publish_small(monkeypatch)


def jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def permuted(images: Images, seed: int) -> Images:
    return images[np.random.default_rng(seed).permutation(len(images))]


CONTAINERS = {
    "originals": lambda root, *splits: write_originals(
        root / "cifar-10-batches-py", "cifar10", *splits
    ),
    "originals, other order": lambda root, train, test: write_originals(
        root / "cifar-10-batches-py", "cifar10", permuted(train, 2), permuted(test, 3)
    ),
    "png in parquet": lambda root, *splits: write_shards(root / "cifar10", *splits),
    "webp in parquet": lambda root, *splits: write_shards(root / "cifar10", *splits, webp, 3),
    "class folders": lambda root, *splits: write_class_folders(root / "cifar10", *splits),
    "numbered folders": lambda root, *splits: write_class_folders(
        root / "cifar10", *splits, ("0", "1", "2")
    ),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_is_the_same_dataset(root, tmp_path, splits, container):
    write_originals(tmp_path / "reference" / "cifar-10-batches-py", "cifar10", *splits)
    reference = datasets.load("cifar10", tmp_path / "reference")
    CONTAINERS[container](root, *splits)
    loaded = datasets.load("cifar10")
    for ours, theirs in ((loaded.train, reference.train), (loaded.test, reference.test)):
        assert (ours.pixels == theirs.pixels).all() and (ours.labels == theirs.labels).all()
    assert loaded.sha256 == reference.sha256 == PUBLISHED["cifar10"].sha256
    assert loaded.classes == CLASSES


def changed_pixel(train, test):
    pixels = test.pixels.copy()
    pixels[3, 5, 7, 1] ^= 1
    return train, Images(pixels, test.labels)


def swapped_labels(train, test):
    return Images(train.pixels, (train.labels + 1) % 3), test


def missing_image(train, test):
    return train[:-1], test


def smaller(train, test):
    return Images(train.pixels[:, ::2, ::2], train.labels), Images(
        test.pixels[:, ::2, ::2], test.labels
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (changed_pixel, "pixels of some test images differ"),
        (swapped_labels, "some of their labels differ"),
        (missing_image, "19 training images instead of 20"),
        (smaller, "16×16 with 3 channels instead of 32×32"),
    ],
)
@pytest.mark.parametrize("write", [write_shards, write_class_folders])
def test_images_that_differ_are_refused(root, splits, write, change, fault):
    write(root / "cifar10", *change(*splits))
    refused("cifar10", root / "cifar10", "is not CIFAR-10", fault, "cifar10-copy", "--dataset")
    assert "not verified" in datasets.names(None)["cifar10"]


def test_jpeg_copies_are_refused_and_usable_under_another_name(root, splits):
    write_shards(root / "cifar10", *splits, jpeg)
    refused("cifar10", "training images differ", "test images differ", "JPEG")
    (root / "cifar10").rename(root / "cifar10-copy")
    copies = datasets.load("cifar10-copy")
    assert len(copies.train) == 20 and copies.sha256 != PUBLISHED["cifar10"].sha256


def test_permuted_class_folders_are_refused(root, splits):
    write_class_folders(root / "cifar10", *splits, ("cow", "ant", "bee"))
    refused("cifar10", "some of their labels differ")


def test_other_datasets_keep_the_order_of_their_files(root, splits):
    train, _ = splits
    write_originals(root / "cifar-10-batches-py", "cifar10", *splits)
    write_shards(root / "mine", *splits, shards=1)
    order = np.random.default_rng(1).permutation(len(train))
    assert (datasets.load("mine").train.pixels == train.pixels[order]).all()


def test_cached_file_of_other_images_is_not_used(root, splits, caplog):
    write_shards(root / "cifar10", *splits)
    exact = datasets.load("cifar10")
    (path,) = (root.parent / "cache").iterdir()
    other = Images(255 - exact.train.pixels, exact.train.labels)
    forged = datasets.Dataset(
        "cifar10",
        other,
        exact.test,
        exact.classes,
        cache.fingerprint(other, exact.test, exact.classes),
    )
    cache.write(path, forged)
    assert "not verified" in datasets.names(None)["cifar10"]
    assert (datasets.load("cifar10").train.pixels == exact.train.pixels).all()
    assert "is damaged" in caplog.text and PUBLISHED["cifar10"].sha256 in caplog.text


def test_names_says_whether_the_images_were_verified(root, splits):
    folder = write_shards(root / "cifar10", *splits)
    state = datasets.names(None)["cifar10"]
    assert state.startswith("found") and "not verified yet" in state and "data prepare" in state
    datasets.load("cifar10")
    state = datasets.names(None)["cifar10"]
    assert state == f"found, exactly CIFAR-10: parquet files at {folder}"


def test_folder_with_the_name_of_a_published_dataset_may_be_given(root, splits):
    folder = write_shards(root / "cifar10", *splits)
    assert split_dataset(str(folder), None) == ("cifar10", root)


def real_root(name: str):
    """Return the data root of the environment, if it has the dataset's images."""
    given = os.environ.get("DSTBENCH_DATA")
    folders = (name, ORIGINALS[name].folder)
    if not given or not any((datasets.root_of(None) / folder).is_dir() for folder in folders):
        pytest.skip(f"needs the images of {name} under DSTBENCH_DATA")
    return datasets.root_of(None)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_real_images_are_the_published_ones_in_parquet_and_originals(name, tmp_path, monkeypatch):
    loaded = datasets.load(name, real_root(name))
    assert loaded.sha256 == PUBLISHED[name].sha256
    assert (len(loaded.train), len(loaded.test)) == (50_000, 10_000)
    monkeypatch.setenv("DSTBENCH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / ORIGINALS[name].folder
    write_originals(folder, name, permuted(loaded.train, 0), permuted(loaded.test, 1))
    again = datasets.load(name, tmp_path)
    assert again.sha256 == loaded.sha256 and again.classes == loaded.classes
    assert (again.train.pixels == loaded.train.pixels).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_committed_test_labels_are_those_of_the_real_images(name):
    loaded = datasets.load(name, real_root(name))
    assert (committed_labels(name) == loaded.test.labels).all()


@pytest.mark.parametrize("name", PUBLISHED)
def test_committed_test_labels_have_every_class_equally_often(name):
    classes = len(PUBLISHED[name].classes)
    counts = np.bincount(committed_labels(name), minlength=classes)
    assert counts.tolist() == [10_000 // classes] * classes


def committed_labels(name: str) -> np.ndarray:
    """Return uint8 (n,), the test labels in the leaderboard's folder."""
    content = json.loads((ROOT / f"leaderboard/labels/{name}.json").read_text())
    assert content["dataset_sha256"] == PUBLISHED[name].sha256
    return np.frombuffer(zlib.decompress(base64.b64decode(content["test"])), np.uint8)


def test_cloned_hub_repository_with_fingerprinted_shards_is_exact(root, splits):
    write_shards(root / "cifar10" / "plain_text", *splits, shards=3)
    for i, path in enumerate(sorted((root / "cifar10" / "plain_text").iterdir())):
        path.rename(path.with_name(f"{path.stem}-{i:016x}.parquet"))
    assert datasets.load("cifar10").sha256 == PUBLISHED["cifar10"].sha256
