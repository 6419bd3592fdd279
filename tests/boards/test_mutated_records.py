"""Whatever is in one record, the others are shown, and it is shown or named."""

import json

from helpers.record_factory import make_record
from hypothesis import given
from hypothesis import strategies as st

from dstbench.boards.read_results import read_results
from dstbench.boards.validation import record_name

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30),
    st.sampled_from([10**400, "x" * 50_000, "\x1b[31m", "<script>", [], {}, [[]], {"a": [1]}]),
    st.lists(st.none() | st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers() | st.none(), max_size=3),
)  # fmt: skip


def places(value, path=()):
    """Yield the path of every value in nested JSON."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value[:3]):
            yield from places(inner, (*path, i))


GOOD, OTHER = make_record(seed=0), make_record("SET", seed=1)
PLACES = list(places(GOOD))


@given(path=st.sampled_from(PLACES), value=VALUES)
def test_record_with_any_wrong_value_is_shown_or_named(tmp_path_factory, path, value):
    changed = json.loads(json.dumps(GOOD))
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    folder = tmp_path_factory.mktemp("board") / "records"
    folder.mkdir()
    for record, content in ((GOOD, changed), (OTHER, OTHER)):
        (folder / f"{record_name(record)}.json").write_text(json.dumps(content))
    results, rejected = read_results(folder)
    named = {name for group in rejected for name in group.names}
    assert {result.name for result in results} | named == {record_name(GOOD), record_name(OTHER)}
    assert all(len(group.reason) < 20_000 and "\n" not in group.reason for group in rejected)
