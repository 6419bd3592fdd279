import json

import pytest

from dstbench.errors import UserError
from dstbench.recording.curves import read_curves

LINE = {"epoch": 1, "val_accuracy": 50.0, "layers_positive": {"act": 0.5}, "step": 3}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "curves.jsonl"


def test_each_line_is_an_epoch_and_numbers_may_be_null(path):
    assert read_curves(path) == []
    lines = [LINE, LINE | {"epoch": 2, "train_loss": None, "layers_grad_norm": {"a": None}}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_curves(path) == lines


@pytest.mark.parametrize(
    "content, message",
    [
        (b'{"epoch": 1}\n\xff\n', "line 2 holds no epoch (it is not UTF-8 text)"),
        (b'{"epoch": 1\n', "line 1 holds no epoch (it is not JSON"),
        (b'{"epoch": 1, "train_loss": NaN}', "NaN is not a JSON number"),
        (b"\n", "it is not JSON"),
        (b"[1]", "contains a list, not an object"),
        (b"{}", "lacks its epoch"),
        (b'{"epoch": "1"}', "epoch is '1', not a whole number"),
        (b'{"epoch": 1, "layers_grad_norm": [1, 2]}', "layers_grad_norm is [1, 2], not an object"),
        (b'{"epoch": 1, "grad_norm_live": "x"}', "grad_norm_live is 'x', not a number"),
    ],
)
def test_a_line_that_is_no_epoch_is_one_message_with_the_way_out(path, content, message):
    path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_curves(path)
    assert str(path) in raised.value.message and message in raised.value.message
    assert "Restore the file, or delete it" in raised.value.message


def test_a_folder_in_place_of_the_curves_is_one_message(path):
    path.mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        read_curves(path)
