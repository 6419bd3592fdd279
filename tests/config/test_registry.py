"""The registry: unique names, and messages with the nearest known name."""

import gin
import pytest

from dstbench.config import registry
from dstbench.config.registry import GROUPS, lookup, names, register
from dstbench.errors import UserError


@pytest.fixture
def scratch(monkeypatch):
    """A registry that forgets what the test registers."""
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    monkeypatch.setattr(gin, "register", lambda cls, module: cls)


def make(name):
    return type(name, (), {})


def test_lookup_finds_a_registered_class(scratch):
    cls = make("Alpha")
    assert "Alpha" not in names("parts")
    assert register("parts")(cls) is cls
    assert lookup("Alpha") is cls
    assert "Alpha" in names("parts") and names("parts") == sorted(names("parts"))
    assert all("Alpha" not in names(group) for group in GROUPS if group != "parts")


@pytest.mark.parametrize("group", ["parts", "models"])
def test_register_refuses_a_taken_name_in_any_group(scratch, group):
    first = register("parts")(make("Alpha"))
    with pytest.raises(UserError, match="Alpha is registered twice: in"):
        register(group)(make("Alpha"))
    assert lookup("Alpha") is first


def test_register_refuses_an_unknown_group(scratch):
    with pytest.raises(UserError, match=r"no group 'part'.*Did you mean 'parts'"):
        register("part")


def test_lookup_suggests_the_nearest_name(scratch):
    register("parts")(make("Alpha"))
    with pytest.raises(UserError, match="Did you mean 'Alpha'"):
        lookup("alfa")
    with pytest.raises(UserError, match="nothing is registered as 'Zzzzzzzz'") as error:
        lookup("Zzzzzzzz")
    assert "Did you mean" not in error.value.message and "Alpha" in error.value.message
    assert "--plugin FILE.py" in error.value.message


def test_registered_classes_are_configurable_by_gin():
    from dstbench.core.budgets import ERK

    gin.clear_config()
    try:
        gin.parse_config("ERK.sparsity = 0.25")
        assert gin.get_configurable(ERK)().sparsity == 0.25
    finally:
        gin.clear_config()
