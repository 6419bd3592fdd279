"""A folder that cannot be read is no empty folder."""

import pytest

from dstbench.errors import UserError
from dstbench.utils.json_files import json_files


def test_files_are_in_the_order_of_their_names(tmp_path):
    for name in ("b.json", "a.json", "c.txt"):
        (tmp_path / name).write_text("")
    assert json_files(tmp_path) == [tmp_path / "a.json", tmp_path / "b.json"]


def test_a_folder_that_is_not_there_is_empty_and_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert json_files(tmp_path / "absent") == json_files(tmp_path / "file" / "records") == []
    with pytest.raises(UserError, match=r"file: cannot be read \(Not a directory\)"):
        json_files(tmp_path / "file")
