"""Text that holds bytes which are not UTF-8."""

import json

import pytest

from dstbench.recording import record
from dstbench.utils.json_text import parse_json
from dstbench.utils.printable import printable, utf8


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("runs", "runs"),
        ("Läufe · 日本", "Läufe · 日本"),
        ("r\udce9sultats", "r\\xe9sultats"),
        ("\udcc3\udca4", "ä"),  # UTF-8 in a locale without it
        ("half \ud83d", "half ?"),
    ],
)
def test_printable_shows_bytes_that_are_no_text(text, shown):
    assert printable(text) == shown
    assert utf8(text) == shown.encode()


def test_record_holds_printable_text_only():
    plain = record.plain({"a\udce9": ["b\udce9", {"c": float("nan")}]})
    assert plain == {"a\\xe9": ["b\\xe9", {"c": None}]}


@pytest.mark.parametrize("text", ['"\\ud83d"', '{"\\udce9": 1}', b'"\xed\xb3\xa9"', b'"\xe9"'])
def test_parse_json_refuses_half_characters(text):
    with pytest.raises(ValueError):
        parse_json(text)


def test_parse_json_takes_characters_of_two_surrogates():
    assert parse_json(json.dumps("🙂")) == "🙂"
