"""A table of a plugin's method, from its grid to its cells."""

import pytest
from helpers.example_run import ExampleRun
from helpers.plugin_method import plugin_class, plugin_gin

import dstbench
from dstbench.errors import UserError

GRID = """
Table.title = 'Mine'
Table.sections = [@Section()]
Section.methods = ['mine.gin']
Section.recipes = ['digits']
Section.sparsities = [0.9]
Section.seeds = [0]
"""


def test_a_table_of_a_plugins_method_needs_the_plugin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (
        ("mine.py", plugin_class("Mine")),
        ("mine.gin", plugin_gin("Mine")),
        ("grid.gin", GRID),
    ):
        (tmp_path / name).write_text(text)
    done = ExampleRun(tmp_path / "runs" / "rigl")
    done.status("finished")
    with pytest.raises(UserError, match=r"grid\.gin: .*nothing is registered as 'Mine'"):
        dstbench.leaderboard("grid.gin", out="board")
    assert not (tmp_path / "board").exists()  # nothing is collected for a table that is refused
    cells = dstbench.leaderboard("grid.gin", runs=None, out="board", plugins=["mine.py"])
    assert cells["method"].tolist() == ["Mine"] and cells["n"].tolist() == [0]
