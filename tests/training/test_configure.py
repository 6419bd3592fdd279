"""Configured runs: settings that are no part of the identity."""

import pytest

from dstbench.config.choices import Choices
from dstbench.errors import UserError
from dstbench.training.configure import assemble


def test_engine_is_set_by_gin_and_left_out_of_the_hash():
    plain, resolved = assemble(Choices(("methods/rigl.gin",)), "fp32")
    sets = ("Run.engine='native'", "Run.dense_health_every=3")
    native, other = assemble(Choices(("methods/rigl.gin",), sets=sets), "fp32")
    assert resolved == other and "engine" not in other.text and "dense_health" not in other.text
    assert (plain.engine, plain.dense_health_every) == ("auto", None)
    assert (native.engine, native.dense_health_every) == ("native", 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Run.engine='fast'", r"Run\.engine = 'fast': expected"),
        ("Run.dense_health_every=0", "must be at least 1 epoch"),
    ],
)
def test_wrong_engine_settings_are_refused(text, words):
    with pytest.raises(UserError, match=words):
        assemble(Choices(("methods/rigl.gin",), sets=(text,)), "fp32")
