"""The registry: a name is taken once, and a wrong one is answered with the nearest."""

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


def test_a_registered_class_is_found_under_its_name(scratch):
    cls = make("Alpha")
    assert "Alpha" not in names("parts")
    assert register("parts")(cls) is cls
    assert lookup("Alpha") is cls
    assert "Alpha" in names("parts") and names("parts") == sorted(names("parts"))
    assert all("Alpha" not in names(group) for group in GROUPS if group != "parts")


@pytest.mark.parametrize("group", ["parts", "models"])
def test_a_name_is_taken_once_whatever_the_group(scratch, group):
    first = register("parts")(make("Alpha"))
    with pytest.raises(UserError, match="Alpha is registered twice: in"):
        register(group)(make("Alpha"))
    assert lookup("Alpha") is first


def test_an_unknown_group(scratch):
    with pytest.raises(UserError, match=r"no group 'part'.*Did you mean 'parts'"):
        register("part")


def test_an_unknown_name(scratch):
    register("parts")(make("Alpha"))
    with pytest.raises(UserError, match="Did you mean 'Alpha'"):
        lookup("alfa")
    with pytest.raises(UserError, match="nothing is registered as 'Zzzzzzzz'") as error:
        lookup("Zzzzzzzz")
    assert "Did you mean" not in error.value.message and "Alpha" in error.value.message


def test_what_is_registered_is_valid_gin():
    """The real thing: the suite's own classes answer to gin under the name they are listed by."""
    from dstbench.core.budgets import ERK

    gin.clear_config()
    try:
        gin.parse_config("ERK.sparsity = 0.25")
        assert gin.get_configurable(ERK)().sparsity == 0.25
    finally:
        gin.clear_config()
