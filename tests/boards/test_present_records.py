"""A new record against those of a leaderboard."""

import pytest
from helpers.lab import write_records
from helpers.record_factory import make_record

from dstbench.boards.present_records import PresentRecords


@pytest.fixture
def present(tmp_path):
    write_records(tmp_path, make_record(seed=0), make_record("SET", seed=0))
    (tmp_path / "records" / "broken.json").write_text("{")
    return PresentRecords(tmp_path / "records")


@pytest.mark.parametrize(
    "new, message",
    [
        ({"seed": 1}, None),
        ({"method": "EAST"}, None),
        ({"seed": 1, "settings": {"Run.batch_size": "64"}}, "they differ in Run.batch_size"),
        ({"method": "RigL ", "seed": 1}, "look alike"),
    ],
)
def test_new_record_is_refused_for_what_contradicts_a_present_one(present, new, message):
    found = present.conflict(make_record(**new), "new")
    assert (found is None) if message is None else message in found


def test_records_are_read_once_for_all_new_ones(present, tmp_path):
    other = make_record(seed=1, settings={"Run.batch_size": "64"})
    first = present.conflict(other, "new")
    for path in (tmp_path / "records").iterdir():
        path.unlink()
    assert first is not None and present.conflict(other, "new") == first


def test_folder_without_records_contradicts_nothing(tmp_path):
    assert PresentRecords(tmp_path / "none").conflict(make_record(), "new") is None
