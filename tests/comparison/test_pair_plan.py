"""The paired runs of a comparison: the same seed and settings on both sides."""

from pathlib import Path

import pytest

from dstbench.comparison.pair_plan import Settings, Side, plan_pairs
from dstbench.config import grid
from dstbench.errors import UserError
from dstbench.sweeps.plan import RunOptions

GRID = """
Table.title = 'A'
Table.sections = [@Section()]
Section.methods = ['rigl']
Section.recipes = ['digits']
Section.seeds = [0]
Section.vary = {'RigL.drop_fraction': [0.3], 'Run.method': ['@Method()']}
"""
OPTIONS = RunOptions(Path("runs"), device="cpu", tracking="off")


def plan(a, b, seeds=(0, 1), **settings):
    return list(plan_pairs(a, b, Settings(**settings), seeds, OPTIONS, "fp32"))


def test_pair_has_one_seed_and_the_shared_settings():
    pairs = plan(Side("rigl"), Side("methods/set.gin"), sparsity=0.8, sets=("Run.epochs=2",))
    assert [pair.seed for pair in pairs] == [0, 1]
    for pair in pairs:
        for run in (pair.a, pair.b):
            assert f"Run.seed = {pair.seed}\n" in run.text and run.epochs == 2
            assert run.arguments[0] == "run" and "0.8" in run.arguments
    assert (pairs[0].a.job.method, pairs[0].b.job.method) == ("RigL", "SET")


def test_pair_uses_the_run_folders_of_single_runs():
    (pair,) = plan(Side("rigl"), Side("set"), seeds=(3,))
    assert pair.a.name.startswith("rigl-digits-resnet20-s0.9-seed3-")


def test_sides_of_one_method_have_their_own_bindings():
    a, b = Side("rigl", ("RigL.drop_fraction=0.3",)), Side("rigl", ("RigL.drop_fraction=0.5",))
    (pair,) = plan(a, b, seeds=(0,))
    assert pair.a.sha256 != pair.b.sha256
    assert pair.a.job.method == "RigL (RigL.drop_fraction=0.3)"
    assert pair.b.job.method == "RigL (RigL.drop_fraction=0.5)"


def test_the_names_are_those_of_a_grid_that_varies_the_bindings(tmp_path):
    sets = ("RigL.drop_fraction=0.3", "Run.method=@Method()")
    (pair,) = plan(Side("rigl", sets), Side("rigl"), seeds=(0,))
    (tmp_path / "grid.gin").write_text(GRID)
    (job,) = grid.read(tmp_path / "grid.gin").jobs
    assert (pair.a.job.method, pair.a.job.choices.sets) == (job.method, job.choices.sets)
    assert pair.b.job.method == "RigL"


def test_a_name_that_is_given_is_kept():
    (pair,) = plan(
        Side("rigl", ("RigL.drop_fraction=0.3", "Method.name='mine'")), Side("rigl"), seeds=(0,)
    )
    assert pair.a.job.method == "mine"


@pytest.mark.parametrize("binding", ["sparsity=0.8", "Run.seed=3", "Run.model=@ResNet34"])
def test_what_both_sides_share_is_refused_for_one(binding):
    with pytest.raises(UserError, match="are the same on both sides"):
        plan(Side("rigl", (binding,)), Side("rigl"), sparsity=0.9)


@pytest.mark.parametrize("binding", ["Run.engine='torch'", "Run.kept_epochs=[0]"])
def test_what_changes_no_result_is_refused_for_one_side(binding):
    with pytest.raises(UserError, match="is no part of a run"):
        plan(Side("rigl", (binding,)), Side("set"))


def test_equal_configurations_are_refused():
    with pytest.raises(UserError, match="same configuration"):
        plan(Side("rigl"), Side("methods/rigl.gin"))


@pytest.mark.parametrize(
    ("side", "settings", "words"),
    [
        ("rigll", {}, "did you mean"),
        ("set", {"recipe": "digit"}, "no recipe"),
        ("set", {"sparsity": 1.5}, "sparsity"),
        ("set", {"sets": ("Run.epoch=3",)}, "epoch"),
    ],
)
def test_wrong_settings_are_refused(side, settings, words):
    with pytest.raises(UserError) as error:
        plan(Side(side), Side("rigl"), **settings)
    assert words.lower() in error.value.message.lower()
