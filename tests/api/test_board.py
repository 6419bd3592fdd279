"""A table of a plugin's method, from its grid to its cells."""

import pytest

import dstbench
from dstbench.errors import UserError

PLUGIN = '''
from dstbench import DropGrow, register

@register("parts")
class Mine(DropGrow):
    """Grows at random."""

    grows_by_gradient = False

    def grow_score(self, state, name):
        return None
'''
METHOD = """
Run.method = @Method()
Method.name = 'Mine'
Method.parts = [@ERK(), @Mine()]
ERK.sparsity = %sparsity
Mine.updates_per_run = 4
"""
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
    for name, text in (("mine.py", PLUGIN), ("mine.gin", METHOD), ("grid.gin", GRID)):
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match="nothing is registered as 'Mine'"):
        dstbench.leaderboard("grid.gin", runs=None, out="board")
    cells = dstbench.leaderboard("grid.gin", runs=None, out="board", plugins=["mine.py"])
    assert cells["method"].tolist() == ["Mine"] and cells["n"].tolist() == [0]
