"""Image folders: every image where it belongs, every fault named."""

import numpy as np
import pytest
from helpers.disk_datasets import data_root, png, random_pixels, refused, write_folder
from PIL import Image

from dstbench.data import datasets


@pytest.fixture
def root(tmp_path, monkeypatch):
    return data_root(tmp_path, monkeypatch)


@pytest.mark.parametrize(("test", "shape"), [("test", (4, 5, 3)), ("val", (6, 6, 1))])
def test_image_folder_is_read_by_class_and_name(root, test, shape):
    pixels = write_folder(root / "pets", test, shape)
    loaded = datasets.load("pets")
    assert (loaded.train.pixels == pixels[:6]).all() and (loaded.test.pixels == pixels[6:]).all()
    assert loaded.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert loaded.test.labels.tolist() == [0, 1]
    assert loaded.classes == ("cat", "dog")


def test_large_images_are_decoded_in_threads_alike(root):
    pixels = write_folder(root / "large", shape=(80, 80, 3))
    assert (datasets.load("large").train.pixels == pixels[:6]).all()


def test_grey_among_colour_becomes_colour(root):
    pixels = write_folder(root / "mixed")
    grey = random_pixels(1, (4, 5))[0]
    (root / "mixed/train/cat/0.png").write_bytes(png(grey))
    loaded = datasets.load("mixed")
    assert (loaded.train.pixels[0] == grey[..., None]).all()
    assert (loaded.train.pixels[1:] == pixels[1:6]).all()


def test_transparency_is_dropped(root):
    pixels = write_folder(root / "clear")
    with_alpha = np.concatenate([pixels[0], np.full((4, 5, 1), 7, np.uint8)], axis=2)
    (root / "clear/train/cat/0.png").write_bytes(png(with_alpha))
    assert (datasets.load("clear").train.pixels[0] == pixels[0]).all()


def test_images_of_two_sizes_are_refused(root):
    write_folder(root / "pets")
    (root / "pets/test/dog/0.PNG").write_bytes(png(random_pixels(1, (6, 7, 3))[0]))
    refused("pets", root / "pets/test/dog/0.PNG", "7×6", root / "pets/train/cat/0.png", "5×4")


@pytest.mark.parametrize(
    ("content", "word"), [(b"", "empty"), (b"hello", "not an image"), (None, "truncated")]
)
def test_unreadable_image_is_named(root, content, word):
    write_folder(root / "pets", shape=(40, 40, 3))
    path = root / "pets/train/dog/2.png"
    path.write_bytes(path.read_bytes()[:500] if content is None else content)
    refused("pets", path, word)


def test_deep_images_are_refused(root):
    write_folder(root / "pets")
    path = root / "pets/train/dog/2.png"
    Image.fromarray(np.zeros((4, 5), np.uint16)).save(path)
    refused("pets", path, "8 bits")


def test_incomplete_folders_are_refused(root):
    write_folder(root / "no_test")
    (root / "no_test/test").rename(root / "no_test/other")
    refused("no_test", root / "no_test", "neither test/ nor val/")

    write_folder(root / "stranger")
    (root / "stranger/test/dog").rename(root / "stranger/test/frog")
    refused("stranger", root / "stranger/test/frog", "cat, dog")

    write_folder(root / "lacking")
    (root / "lacking/test/dog/0.PNG").rename(root / "lacking/test/dog/0.txt")
    refused("lacking", root / "lacking/test/dog", "holds no image")

    (root / "hollow/train").mkdir(parents=True)
    (root / "hollow/test").mkdir()
    refused("hollow", root / "hollow/train", "is empty")

    (root / "nothing").mkdir()
    refused("nothing", root / "nothing", "holds nothing", "train*.parquet")
