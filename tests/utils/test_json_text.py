"""JSON that others wrote."""

import pytest

from dstbench.utils.json_text import parse_json


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "NaN",
        "1e999",
        "[-1e999]",
        "[" * 100_000,
        "[" * 300 + "]" * 300,
        '{"a":' * 300 + "1" + "}" * 300,
    ],
)
def test_parse_json_raises_value_errors_only(text):
    with pytest.raises(ValueError):
        parse_json(text)


def test_parse_json_returns_values():
    assert parse_json(b'{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
    assert parse_json("1") == 1
