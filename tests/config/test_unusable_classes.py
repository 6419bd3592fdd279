"""Classes that a configuration names and that cannot be used get one message, with the place."""

import pytest

from dstbench.config.choices import Choices
from dstbench.errors import UserError
from dstbench.training.configure import assemble

PLUGIN = """
from dstbench import DropGrow, register


@register("parts")
class Lacking(DropGrow):
    def grow_scores(self, state, name):
        return None


@register("parts")
class Failing(DropGrow):
    def __init__(self):
        raise ValueError("boom")

    def grow_score(self, state, name):
        return None
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    path = tmp_path_factory.mktemp("plugin") / "plugin.py"
    path.write_text(PLUGIN)
    return path


@pytest.mark.parametrize(
    "part, message",
    [
        ("Lacking", r"--set 'Method.parts.*': Lacking lacks grow_score\. Define it in the class"),
        ("Failing", r"cannot be made of this configuration: ValueError: boom \(.*plugin.py:14\)"),
        ("Nowhere", r"nothing is registered as 'Nowhere'"),
    ],
)
def test_class_that_cannot_be_used_is_named(plugin, part, message):
    sets = (f"Method.parts=[@ERK(), @{part}()]",)
    with pytest.raises(UserError, match=message):
        assemble(Choices(("methods/rigl.gin",), sets=sets, plugins=(plugin,)), "fp32")
