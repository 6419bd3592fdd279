"""Overrides, as `--set` and a grid's bindings give them."""

import pytest

from dstbench.config.overrides import parse_override
from dstbench.errors import UserError


def test_parse_override_returns_the_binding():
    (binding,) = parse_override("drop/Cosine.start = 0.3", "--set")
    assert (str(binding), binding.value, binding.where) == ("drop/Cosine.start", 0.3, "--set")


@pytest.mark.parametrize(
    ("text", "words"),
    [("RigL.drop_fraction", "expected NAME=VALUE"), ("RigL.parts=[1", "is never closed")],
)
def test_parse_override_refuses_text_that_is_not_a_binding(text, words):
    with pytest.raises(UserError, match=f"--set '.*': .*{words}"):
        parse_override(text, f"--set {text!r}")
