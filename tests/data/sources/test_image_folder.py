"""Image folders: read by class and name; the message for a fault names the file."""

import os
import shutil
import struct
import zlib

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


def test_colours_of_16_bits_are_refused(root):
    """Pillow opens them as 8 bits."""
    write_folder(root / "pets")
    path = root / "pets/train/dog/2.png"
    header = struct.pack(">IIBBBBB", 5, 4, 16, 2, 0, 0, 0)
    rows = zlib.compress(bytes(4 * (1 + 5 * 6)))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(map(chunk, (b"IHDR", b"IDAT", b"IEND"), (header, rows, b"")))
    )
    assert Image.open(path).mode == "RGB"
    refused("pets", path, "8 bits")


def chunk(kind, content):
    """A chunk of a PNG file."""
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def test_incomplete_image_folders_are_refused(root):
    write_folder(root / "no_train")
    (root / "no_train/train").rename(root / "no_train/other")
    refused("no_train", root / "no_train", "has test/ but no train/")

    write_folder(root / "double")
    write_folder(root / "double", "Test")
    refused("double", "both Test/ and test/ are test images")

    write_folder(root / "unknown")
    (root / "unknown/test/dog").rename(root / "unknown/test/frog")
    refused("unknown", root / "unknown/test/frog", "cat, dog")

    write_folder(root / "lacking")
    (root / "lacking/test/dog/0.PNG").rename(root / "lacking/test/dog/0.txt")
    refused("lacking", root / "lacking/test/dog", "contains no image")

    write_folder(root / "unsorted")
    (root / "unsorted/train/cat/0.png").rename(root / "unsorted/0.png")
    for path in (root / "unsorted/train").rglob("*.png"):
        path.rename(root / "unsorted/train" / f"{path.parent.name}{path.name}")
    for name in ("cat", "dog"):
        (root / "unsorted/train" / name).rmdir()
    refused("unsorted", root / "unsorted/train", "no folders but cat1.png")

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


def test_every_image_of_a_class_is_used(root):
    write_folder(root / "pets")
    for i, name in enumerate(("3.bmp", "4.webp", "5.TIF", "6.ppm", "more/7.png", "8.JPEG")):
        path = root / "pets/train/cat" / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(random_pixels(1, seed=i)[0]).save(path)
    (root / "pets/train/dog/._0.png").write_bytes(b"hidden")
    (root / "pets/train/dog/notes.txt").write_text("")
    loaded = datasets.load("pets")
    assert np.bincount(loaded.train.labels).tolist() == [9, 3]
    (note,) = loaded.notes
    assert "1 files" in note and "train/dog/notes.txt" in note
    assert datasets.load("pets").notes == loaded.notes  # from the cache, too
    assert datasets.load_encoded("pets").notes == loaded.notes


def test_unused_folders_are_named(root):
    pixels = write_folder(root / "pets")
    write_folder(root / "pets", "valid")
    (root / "pets/extra").mkdir()
    (root / "pets/extra/1.png").write_bytes(png(pixels[0]))
    (root / "pets/stray.png").write_bytes(png(pixels[0]))
    notes = " ".join(datasets.load("pets").notes)
    for words in ("test/ is used", "valid/ is not used", "not used: extra/, stray.png"):
        assert words in notes


def test_unlabelled_test_folder_gives_way_to_labelled_validation_images(root):
    pixels = write_folder(root / "pets", "val")
    (root / "pets/test").mkdir()
    (root / "pets/test/0.png").write_bytes(png(pixels[0]))
    loaded = datasets.load("pets")
    assert (loaded.test.pixels == pixels[6:]).all()
    assert "test/ has no labels" in loaded.notes[0] and "val/ is used" in loaded.notes[1]


@pytest.mark.parametrize("flat", [True, False])
def test_folder_without_test_images_gives_up_a_fifth_of_its_own(root, flat):
    write_folder(root / "pets")
    shutil.rmtree(root / "pets/test")
    if flat:
        for name in ("cat", "dog"):
            (root / "pets/train" / name).rename(root / "pets" / name)
        (root / "pets/train").rmdir()
    loaded = datasets.load("pets")
    assert loaded.train.labels.tolist() == [0, 0, 1, 1] and loaded.test.labels.tolist() == [0, 1]
    assert "one in 5 training images" in loaded.notes[0]
    assert len(datasets.load_encoded("pets").test) == 2


def test_test_class_without_a_folder_is_said(root):
    write_folder(root / "pets")
    shutil.rmtree(root / "pets/test/dog")
    assert datasets.load("pets").notes == ("test/ has no image of dog.",)


def test_names_of_any_characters_are_read(root):
    write_folder(root / "Meine Bilder 猫")
    for split, form in (
        ("train", "cafe\u0301"),
        ("test", "caf\u00e9"),
    ):  # one name in two encodings
        (root / "Meine Bilder 猫" / split / "cat").rename(root / "Meine Bilder 猫" / split / form)
    loaded = datasets.load("Meine Bilder 猫")
    assert loaded.classes == ("caf\u00e9", "dog") and len(loaded.test) == 2
    broken = root / "bytes/train/cat" / os.fsdecode(b"\xff.png")
    write_folder(root / "bytes")
    (root / "bytes/train/cat/0.png").rename(broken)
    assert len(datasets.load("bytes").train) == 6
    last = datasets.load_encoded("bytes").train.locations.at(2)
    assert last.content == broken and decode_rgb(last).size == (5, 4)


def test_broken_link_is_named(root):
    write_folder(root / "pets")
    (root / "pets/train/cat/9.png").symlink_to("/nowhere/9.png")
    refused("pets", root / "pets/train/cat/9.png", "No such file", "link")


def test_images_are_scaled_and_cached_for_each_size(root):
    write_jpegs(root / "odd", 2)
    small, large = (datasets.load("odd", size=size) for size in (6, 9))
    assert small.train.pixels.shape == (24, 6, 6, 3) and large.test.pixels.shape == (6, 9, 9, 3)
    assert small.sha256 != large.sha256
    (root / "odd").rename(root / "copy")
    assert datasets.load("copy", size=6).sha256 == small.sha256


def test_images_of_two_sizes_point_to_the_recipe(root):
    write_jpegs(root / "odd", 2)
    refused("odd", "one size", "--recipe images")
