"""Predicted classes of the test images, as a record stores them. Standard library only.

One class index an image, in the order of the dataset's test images: uint8 for up to 256 classes,
else little-endian uint16, compressed by zlib, as base64.
"""

import base64
import binascii
import sys
import zlib
from array import array
from collections.abc import Iterable

from dstbench.errors import UserError

MOST_IMAGES = 10**7  # a longer text is refused: it may be a decompression bomb
_SMALL = 256  # classes that one byte can number


def encode(predicted: Iterable[int], classes: int) -> str:
    """Return predicted classes as text.

    predicted: class indices in [0, classes), one an image.
    classes: number of classes, at most 65,536.
    """
    values = array(_type(classes), predicted)
    if sys.byteorder == "big":
        values.byteswap()
    return base64.b64encode(zlib.compress(values.tobytes(), 9)).decode()


def decode(text: object, classes: int) -> array:
    """Return the class indices in a text that `encode` returned.

    text: as read from JSON.
    classes: number of classes.

    Raises UserError when: it is no such text, or a class is out of range.
    """
    values = array(_type(classes))
    try:
        if not isinstance(text, str):
            raise ValueError("it is not text")
        limit = MOST_IMAGES * values.itemsize
        unpacking = zlib.decompressobj()
        content = unpacking.decompress(base64.b64decode(text, validate=True), limit)
        if not unpacking.eof or unpacking.unused_data:
            raise ValueError("it is cut off or too long")
        values.frombytes(content)
    except (ValueError, binascii.Error, zlib.error) as error:
        raise UserError(f"the predictions cannot be read: {error}.") from None
    if sys.byteorder == "big":
        values.byteswap()
    if values and max(values) >= classes:
        raise UserError(f"a predicted class is {max(values)}; there are {classes} classes, from 0.")
    return values


def accuracy(predicted: Iterable[int], labels: Iterable[int]) -> float:
    """Return the percentage of images whose predicted class is their label.

    predicted, labels: class indices of the same images.

    Raises ValueError when: their numbers differ, or there are none.
    """
    hits = [p == y for p, y in zip(predicted, labels, strict=True)]
    if not hits:
        raise ValueError("no images")
    return 100 * sum(hits) / len(hits)


def _type(classes: int) -> str:
    return "B" if classes <= _SMALL else "H"
