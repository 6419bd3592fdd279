"""Image folders: read by class and name; the message for a fault names the file."""

import numpy as np
import pytest
from helpers.disk_datasets import (
    colour_image,
    data_root,
    jpeg,
    png,
    random_pixels,
    refused,
    write_folder,
    write_jpegs,
)
from PIL import Image

from dstbench.data import datasets
from dstbench.data.sources.decode import decode_rgb


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


def test_large_images_are_decoded_in_order(root):
    pixels = write_folder(root / "large", shape=(80, 80, 3))
    assert (datasets.load("large").train.pixels == pixels[:6]).all()


def test_grey_image_among_rgb_becomes_rgb(root):
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


def test_images_of_16_bits_are_refused(root):
    write_folder(root / "pets")
    path = root / "pets/train/dog/2.png"
    Image.fromarray(np.zeros((4, 5), np.uint16)).save(path)
    refused("pets", path, "8 bits")


def test_incomplete_image_folders_are_refused(root):
    write_folder(root / "no_test")
    (root / "no_test/test").rename(root / "no_test/other")
    refused("no_test", root / "no_test", "neither test/ nor val/")

    write_folder(root / "unknown")
    (root / "unknown/test/dog").rename(root / "unknown/test/frog")
    refused("unknown", root / "unknown/test/frog", "cat, dog")

    write_folder(root / "lacking")
    (root / "lacking/test/dog/0.PNG").rename(root / "lacking/test/dog/0.txt")
    refused("lacking", root / "lacking/test/dog", "contains no image")

    (root / "hollow/train").mkdir(parents=True)
    (root / "hollow/test").mkdir()
    refused("hollow", root / "hollow/train", "is empty")

    (root / "nothing").mkdir()
    refused("nothing", root / "nothing", "contains nothing", "train*.parquet")


def test_encoded_image_folder_has_any_sizes_and_modes(root):
    write_jpegs(root / "odd", 2)
    found = datasets.load_encoded("odd")
    assert found.classes == ("class00", "class01")
    assert found.train.labels.tolist() == [0] * 12 + [1] * 12 and len(found.test) == 6
    sizes = {decode_rgb(found.train.locations.at(i)).size for i in range(24)}
    assert sizes == {(15 + 3 * i, 40 - i) for i in range(12)}


def test_encoded_image_folder_sha256_is_of_names_and_sizes(root):
    write_jpegs(root / "odd", 2)
    before = datasets.load_encoded("odd").sha256
    (root / "odd").rename(root / "copy")
    assert datasets.load_encoded("copy").sha256 == before
    (root / "copy/train/class00/0.JPEG").write_bytes(jpeg(colour_image(9)))
    assert datasets.load_encoded("copy").sha256 != before
