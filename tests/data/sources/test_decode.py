"""Images of any mode and size are decoded, and scaled where a size is asked for."""

import io

import numpy as np
import pytest
from helpers.disk_datasets import png, random_pixels
from PIL import Image

from dstbench.data.sources import decode
from dstbench.data.sources.decode import EncodedImage, decode_rgb
from dstbench.errors import UserError


def encoded(image: Image.Image, kind="PNG") -> EncodedImage:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return EncodedImage(buffer.getvalue(), "an image")


def test_images_of_any_size_are_scaled_to_one():
    sizes = [(1, 1), (300, 1), (7, 40), (64, 64), (9, 9)]
    pixels = decode.decode([encoded(Image.new("RGB", s, (200, 10, 30))) for s in sizes], 9)
    assert pixels.shape == (5, 9, 9, 3) and (pixels == (200, 10, 30)).all()


def test_largest_centred_square_is_scaled():
    image = np.zeros((40, 120, 1), np.uint8)
    image[:, 40:80] = 255
    (pixels,) = decode.decode([EncodedImage(png(image), "")], 20)
    assert (pixels[:, 1:-1] == 255).all() and (pixels[:, [0, -1]] > 200).all()


def test_images_of_the_size_asked_for_are_unchanged():
    pixels = random_pixels(3, (8, 8, 3))
    images = [EncodedImage(png(p), "") for p in pixels]
    assert (decode.decode(images, 8) == pixels).all()


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("1", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("RGB", "WEBP"), ("RGBA", "PNG"),
        ("CMYK", "JPEG"), ("CMYK", "TIFF"), ("YCbCr", "JPEG"), ("RGB", "PPM"), ("L", "BMP"),
    ],
)  # fmt: skip
def test_modes_of_8_bits_are_grey_or_rgb(mode, kind):
    image = encoded(Image.new("RGB", (6, 5), (255, 255, 255)).convert(mode), kind)
    channels = 1 if mode in ("1", "L", "LA") else 3
    assert decode.decode([image]).shape == (1, 5, 6, channels)
    assert decode.decode([image], 4).shape == (1, 4, 4, channels)


def test_git_lfs_pointer_is_recognised():
    pointer = EncodedImage(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "x.png")
    with pytest.raises(UserError, match="git lfs pull"):
        decode.decode([pointer])


def test_images_beyond_memory_are_refused(monkeypatch):
    def no_memory(*args):
        raise MemoryError

    monkeypatch.setattr(decode, "_decode_into", no_memory)
    with pytest.raises(UserError, match=r"2 images of 9×9 pixels .* memory"):
        decode.decode([encoded(Image.new("L", (3, 3)))] * 2, 9)


@pytest.mark.parametrize("kind", ["GIF", "ICO", "PDF", "TGA"])
def test_formats_that_are_not_documented_are_not_opened(kind):
    content = io.BytesIO()
    Image.new("RGB", (16, 16)).save(content, kind)
    with pytest.raises(UserError, match="not an image of the formats JPEG, PNG, WEBP"):
        decode_rgb(EncodedImage(content.getvalue(), "x"))
