"""Resolving gin files: shipped methods and recipes, identity, precedence, scopes."""

import itertools

import pytest

from dstbench.config.choices import Choices
from dstbench.config.gin_file import read_file
from dstbench.config.shipped_files import shipped
from dstbench.training.configure import configure

METHODS = shipped("methods")
RECIPES = shipped("gin/recipes")


@pytest.mark.parametrize(
    ("method", "recipe"), list(itertools.product(METHODS, RECIPES)), ids=lambda name: name
)
def test_resolve_accepts_every_method_with_every_recipe(method, recipe):
    choices = Choices((str(METHODS[method]),), recipe)
    resolved = configure(choices, "fp32").resolve()
    assert f"Run.recipe = '{recipe}'" in resolved.text


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_bindings_are_used_by_some_method(recipe):
    used = set()
    for method in METHODS.values():
        config = configure(Choices((str(method),), recipe), "fp32")
        config.resolve()
        used |= {str(b) for b in config.bindings if config.bindings.is_used(b)}
    dead = {str(b) for b in read_file(RECIPES[recipe])} - used
    assert not dead


@pytest.mark.parametrize("method", METHODS)
def test_resolved_text_resolves_to_the_same_identity(method, tmp_path):
    resolved = configure(Choices((str(METHODS[method]),), "digits"), "fp32").resolve()
    path = tmp_path / "run.gin"
    path.write_text(resolved.text)
    assert configure(Choices((str(path),)), "bf16").resolve() == resolved


def test_identity_depends_on_values_not_on_how_they_are_set():
    rigl = str(METHODS["rigl"])
    one = configure(Choices((rigl,), axes=(("sparsity", 0.95),)), "fp32").resolve()
    other = configure(Choices((rigl,), sets=("ERK.sparsity = 0.95",)), "fp32").resolve()
    third = configure(Choices((rigl,), axes=(("sparsity", 0.96),)), "fp32").resolve()
    assert one.sha256 == other.sha256 != third.sha256


def test_resolve_later_bindings_win(tmp_path):
    further = tmp_path / "further.gin"
    further.write_text("RigL.drop_fraction = 0.2\nseed = 3\n")
    rigl = str(METHODS["rigl"])
    resolved = configure(Choices((rigl, str(further))), "fp32").resolve()
    assert "RigL.drop_fraction = 0.2" in resolved.text and "Run.seed = 3" in resolved.text
    axes = configure(Choices((rigl, str(further)), axes=(("seed", 4),)), "fp32").resolve()
    assert "Run.seed = 4" in axes.text
    sets = Choices((rigl, str(further)), axes=(("seed", 4),), sets=("seed = 5",))
    assert "Run.seed = 5" in configure(sets, "fp32").resolve().text


def test_cifar_recipe_update_interval_overrides_updates_per_run():
    for method, steps in (("rigl", 4000), ("set", 1500)):
        choices = Choices((str(METHODS[method]),), "cifar10_resnet34")
        text = configure(choices, "fp32").resolve().text
        assert f".update_interval = {steps}\n" in text


def test_scopes_configure_two_instances_of_a_class(tmp_path):
    path = tmp_path / "scoped.gin"
    path.write_text(
        "import dstbench.methods.rigl\n"
        "Run.method = @Method()\nMethod.name = 'Scoped'\nMethod.parts = [@ERK(), @RigL()]\n"
        "ERK.sparsity = %sparsity\nRigL.updates_per_run = 10\n"
        "RigL.drop_fraction = @drop/Cosine()\nRun.split_seed = 7\n"
        "drop/Cosine.start = 0.4\nCosine.end = 0.1\nCosine.start = 0.9\n"
    )
    config = configure(Choices((str(path),)), "fp32")
    resolved = config.resolve()
    assert "drop/Cosine.start = 0.4" in resolved.text and "drop/Cosine.end = 0.1" in resolved.text
    schedule = config.build(resolved).method.parts[1].drop_fraction
    assert schedule(0.0) == pytest.approx(0.4) and schedule(1.0) == pytest.approx(0.1)
