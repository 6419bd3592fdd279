"""A run that is named by a copy of its record."""

import json
from pathlib import Path

import pytest
from helpers.record_factory import make_record

from dstbench.api import find_run
from dstbench.errors import UserError


@pytest.fixture
def copied(tmp_path):
    """Return a function that writes a record with a hash, and returns its path."""

    def write(sha256, folder=tmp_path):
        record = make_record()
        record["config"]["sha256"] = sha256
        folder.mkdir(exist_ok=True)
        (folder / "record.json").write_text(json.dumps(record))
        return str((folder / "record.json").rename(folder / "copy.json"))

    return write


def test_a_copy_of_a_record_names_the_folder_of_its_run(copied, tmp_path):
    sha256 = "0123456789abcdef" * 4
    folder = tmp_path / f"rigl-{sha256[:8]}"
    copied(sha256, folder)
    (folder / "copy.json").rename(folder / "record.json")
    (tmp_path / f"set-{sha256[:8]}").mkdir()
    assert find_run.find(copied(sha256), tmp_path, "off") == folder


@pytest.mark.parametrize("sha256", ["**0123456", "[", "../../..", "a\0b", ""])
def test_a_hash_that_is_none_names_no_folder(copied, tmp_path, sha256):
    with pytest.raises(UserError, match="contradicts itself"):
        find_run.find(copied(sha256), tmp_path, "off")


def test_another_attempt_at_the_run_does_not_stand_for_the_record(copied, tmp_path):
    sha256 = "0123456789abcdef" * 4
    folder = tmp_path / f"rigl-{sha256[:8]}"
    local = json.loads(Path(copied(sha256, folder)).read_text())
    local["provenance"]["attempt"] = "f" * 32
    (folder / "record.json").write_text(json.dumps(local))
    with pytest.raises(UserError, match="is another attempt at this run"):
        find_run.find(copied(sha256), tmp_path, "off")
