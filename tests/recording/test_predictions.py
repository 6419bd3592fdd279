"""Predicted classes in a record: they survive their text, and a wrong text is refused."""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstbench.errors import UserError
from dstbench.recording import predictions


@given(st.sampled_from([2, 10, 256, 257, 1000, 65536]).flatmap(
    lambda classes: st.tuples(st.just(classes), st.lists(st.integers(0, classes - 1)))
))  # fmt: skip
def test_predictions_survive_their_text(case):
    classes, predicted = case
    assert list(predictions.decode(predictions.encode(predicted, classes), classes)) == predicted


def test_predictions_of_many_classes_are_little_endian_uint16():
    content = zlib.decompress(base64.b64decode(predictions.encode([1, 515], 1000)))
    assert content == bytes([1, 0, 3, 2])


@pytest.mark.parametrize(
    "text",
    [
        None,
        "no base64!",
        base64.b64encode(b"no zlib").decode(),
        base64.b64encode(zlib.compress(b"\x01\x02")[:-3]).decode(),
        base64.b64encode(zlib.compress(b"\x01") + b"more").decode(),
        base64.b64encode(zlib.compress(b"\x0a")).decode(),  # class 10 of ten
    ],
)
def test_text_that_is_no_predictions_is_refused(text):
    with pytest.raises(UserError):
        predictions.decode(text, 10)


def test_decompression_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(predictions, "MOST_IMAGES", 1000)
    with pytest.raises(UserError, match="too long"):
        predictions.decode(predictions.encode([0] * 1001, 10), 10)


def test_accuracy_is_the_percentage_of_hits():
    assert predictions.accuracy([0, 1, 2, 2], [0, 1, 2, 3]) == 75.0
    with pytest.raises(ValueError):
        predictions.accuracy([0], [0, 1])
