"""Types of parsed JSON: what a TypedDict allows, and what it does not."""

from typing import Any, Literal, NotRequired, TypedDict

import pytest

from dstbench.recording.json_types import type_problem


class Inner(TypedDict):
    macs: int


class Outer(TypedDict):
    name: str
    accuracy: float
    best: int | None
    shown: Literal["a", "b"]
    layers: list[Inner]
    counts: dict[str, int]
    norms: NotRequired[dict[str, float]]
    fine: bool
    value: Any
    inner: NotRequired[Inner]


GOOD: dict[str, Any] = {
    "name": "x", "accuracy": 1, "best": None, "shown": "a", "layers": [{"macs": 1}],
    "counts": {"y": 2}, "fine": True, "value": [[]], "inner": {"macs": 3}, "other": object(),
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{}, {"norms": {"x": None}}, {"accuracy": 0.5}, {"best": 3}, {"layers": []}, {"counts": {}}],
)
def test_what_a_type_allows_has_no_problem(change):
    assert type_problem(GOOD | change, Outer, "") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 5}, "name is 5, not a text"),
        ({"name": "x" * 30_000}, "name has 30,000 characters"),
        ({"accuracy": "90"}, "accuracy is '90', not a number"),
        ({"accuracy": None}, "accuracy is None, not a number"),
        ({"accuracy": True}, "accuracy is True, not a number"),
        ({"best": 1.5}, "best is 1.5, not a whole number"),
        ({"best": 10**400}, "…, not a number that this version can hold"),
        ({"accuracy": 10**400}, "…, not a number that this version can hold"),
        ({"shown": "c"}, "shown is 'c', not a known word"),
        ({"shown": ["a"]}, "shown is ['a'], not a known word"),
        ({"layers": {}}, "layers is {}, not a list"),
        ({"layers": [{"macs": None}]}, "layers[0].macs is None, not a whole number"),
        ({"counts": {"y": "z"}}, "counts['y'] is 'z', not a whole number"),
        ({"counts": {"y" * 30_000: 1}}, "counts has a key of 30,000 characters"),
        ({"fine": 1}, "fine is 1, not true or false"),
        ({"inner": []}, "inner is [], not an object"),
    ],
)
def test_what_a_type_does_not_allow_is_named_with_its_place(change, message):
    found = type_problem(GOOD | change, Outer, "")
    assert found is not None and message in found and len(found) < 250


def test_what_is_no_object_is_named():
    assert type_problem([], Outer, "record") == "record is [], not an object"
