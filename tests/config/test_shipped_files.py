"""Gin files are found by name or path; a file beside the grid that names it comes first."""

import pytest

from dstbench.config.shipped_files import find_gin, find_recipe, shipped
from dstbench.errors import UserError


@pytest.mark.parametrize(
    ("find", "name", "folder"),
    [(find_gin, "rigl", "methods"), (find_recipe, "digits", "gin/recipes")],
)
def test_file_is_found_in_a_folder_then_by_name_then_by_path(
    tmp_path, monkeypatch, find, name, folder
):
    known = shipped(folder)[name]
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.gin").touch()
    (tmp_path / name).touch()
    assert find(name) == known == find(name, own)
    assert find(f"{folder}/{name}.gin") == known
    assert find("own/mine.gin").resolve() == own / "mine.gin" == find("mine.gin", own)
    (own / name).touch()
    assert find(name, own) == own / name
    with pytest.raises(UserError, match=rf"Did you mean '{name}'"):
        find(name[:-1], own)
