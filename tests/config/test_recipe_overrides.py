"""Settings of the method's file that a recipe replaces: found, and no part of the identity."""

import pytest

from dstbench.config.choices import Choices
from dstbench.config.shipped_files import shipped
from dstbench.training.configure import configure

METHODS, RECIPES = shipped("methods"), shipped("gin/recipes")


def overrides(method, recipe, **choices):
    resolved = configure(Choices((str(METHODS[method]),), recipe, **choices), "fp32").resolve()
    return [(o.binding, o.method, o.recipe) for o in resolved.overrides]


def test_recipe_that_replaces_a_methods_update_interval_is_reported():
    assert overrides("dctps_rigl", "imagenet_resnet50") == [("RigL.update_interval", 100, 4000)]


def test_equal_unused_or_new_settings_are_not_overrides():
    assert overrides("dctps_rigl", "imagenet_dct") == []  # the same value
    assert overrides("dctps", "imagenet_resnet50") == []  # it has no RigL
    assert overrides("rigl", "cifar10_resnet34") == []  # the method's file gives no ΔT


def test_override_that_set_replaces_again_is_not_the_recipes():
    assert overrides("dctps_rigl", "imagenet_resnet50", sets=("RigL.update_interval = 200",)) == []


@pytest.mark.parametrize("scope", ["late/", ""])
def test_override_in_a_custom_recipe_is_reported_by_scope(scope, tmp_path):
    method, recipe, value = tmp_path / "m.gin", tmp_path / "r.gin", f"{scope}Cosine.end"
    method.write_text(
        f"include 'methods/rigl.gin'\nRigL.drop_fraction = @{scope}Cosine()\n{value} = 0.1\n"
    )
    recipe.write_text(f"include 'recipes/digits.gin'\n{value} = 0.2\n")
    resolved = configure(Choices((str(method),), str(recipe)), "fp32").resolve()
    assert [(o.binding, o.method, o.recipe) for o in resolved.overrides] == [(value, 0.1, 0.2)]


def test_overrides_of_references_are_gin_text(tmp_path):
    recipe = tmp_path / "r.gin"
    recipe.write_text("include 'recipes/digits.gin'\nMethod.parts = [@RigL(), @ERK()]\n")
    resolved = configure(Choices((str(METHODS["rigl"]),), str(recipe)), "fp32").resolve()
    (override,) = resolved.overrides
    assert override.binding == "Method.parts" and override.recipe == "[@RigL(), @ERK()]"


@pytest.mark.parametrize("method", METHODS)
def test_recipes_of_the_papers_tables_replace_no_setting(method):
    for recipe in ("cifar10_resnet34", "cifar100_resnet50"):
        assert overrides(method, recipe) == [] or "dct" in method
    if "dct" in method:
        assert overrides(method, "cifar10_dct") == []


@pytest.mark.parametrize("method", ["dctps", "dctps_rigl", "east_no_cycle"])
def test_recipes_of_table_three_keep_what_the_methods_cite(method):
    recipe = "imagenet_east" if method == "east_no_cycle" else "imagenet_dct"
    found = overrides(method, recipe)
    assert all(binding == "DyReLUPhasing.end" for binding, _, _ in found)


def test_table_three_has_adam_for_dct_and_the_authors_schedule_for_east():
    dct = configure(Choices((str(METHODS["dctps_rigl"]),), "imagenet_dct"), "bf16").resolve().text
    for line in ("Run.optimizer = @Adam()", "RigL.update_interval = 100", "Adam.lr = 0.001",
                 "Run.protocol = 'all_images'", "Run.precision = 'fp32'"):  # fmt: skip
        assert f"{line}\n" in dct
    east = configure(Choices((str(METHODS["east_no_cycle"]),), "imagenet_east"), "bf16").resolve()
    for line in ("MultiStep.milestones = [0.5, 0.75]", "SGD.nesterov = True",
                 "DyReLUPhasing.start = 0.25", "DyReLUPhasing.end = 0.49",
                 "GradientClip.norm = 1.0", "Run.protocol = 'all_images'"):  # fmt: skip
        assert f"{line}\n" in east.text
