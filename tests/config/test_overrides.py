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


def test_engine_is_set_by_gin_and_left_out_of_the_hash(tmp_path):
    runs = {}
    for engine in (None, "native"):
        sets = () if engine is None else (f"Run.engine='{engine}'",)
        choices = Choices(files=("rigl",), recipe=None, axes=(), sets=sets, plugins=())
        runs[engine] = assemble(choices, "fp32")
    assert runs[None][1] == runs["native"][1] and "engine" not in runs["native"][1].text
    assert (runs[None][0].engine, runs["native"][0].engine) == ("auto", "native")


def test_unknown_engine_is_refused():
    choices = Choices(files=("rigl",), recipe=None, axes=(), sets=("Run.engine='fast'",))
    with pytest.raises(UserError, match=r"Run\.engine = 'fast': expected"):
        assemble(choices, "fp32")
