"""Test images of a streamed dataset are decoded once, before a run needs them."""

import numpy as np
import pytest
from helpers.disk_datasets import png, random_pixels

from dstbench.data.sources import check_encoded
from dstbench.data.sources.check_encoded import check_test_images
from dstbench.data.sources.encoded import EncodedImages, packed_file
from dstbench.errors import UserError


@pytest.fixture
def images(tmp_path):
    """Return a function that makes encoded images, some of them broken."""

    def make(broken=()):
        whole = png(random_pixels(1, (9, 8, 3))[0])
        contents = [whole[:40] if i in broken else whole for i in range(6)]
        path = tmp_path / f"{len(broken)}.encoded"
        return EncodedImages(packed_file(path, contents, 6), np.zeros(6, np.int64))

    return make


def test_broken_test_images_are_named_and_counted(images, tmp_path):
    with pytest.raises(UserError, match="test images are broken") as error:
        check_test_images(images({1, 2, 3, 5}), "sha", tmp_path / "cache")
    assert error.value.message.count("at byte") == 3 and "… and 1 more" in error.value.message
    assert not (tmp_path / "cache").exists()


def test_whole_test_images_are_decoded_once(images, tmp_path, monkeypatch):
    check_test_images(images(), "sha", tmp_path / "cache")
    monkeypatch.setattr(check_encoded, "decode_rgb", None)
    check_test_images(images(), "sha", tmp_path / "cache")
    with pytest.raises(TypeError):  # another dataset is decoded
        check_test_images(images(), "other", tmp_path / "cache")
