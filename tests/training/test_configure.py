"""Configured runs: settings that are no part of the identity."""

import pytest

from dstbench.config.choices import Choices
from dstbench.errors import UserError
from dstbench.training.configure import assemble, pipeline_from_text, resolved_run
from dstbench.training.given_choices import choices_of


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


def test_configuration_of_a_file_imports_modules_of_the_suite_only(tmp_path, monkeypatch):
    (tmp_path / "stranger.py").write_text("raise SystemExit('it was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    for text in ("import stranger\n", "import stranger.inner\n", "import dstbench_evil\n"):
        with pytest.raises(UserError, match=r"run\.gin: imports .*no module of dstbench.*--plugin"):
            resolved_run(text)
    (tmp_path / "more.gin").write_text("import stranger\n")
    with pytest.raises(UserError, match=r"more\.gin:1: imports stranger"):
        resolved_run(f"include '{tmp_path}/more.gin'\n")


@pytest.mark.parametrize(
    ("short", "sets"),
    [
        (("epochs", 2), "Run.epochs=1"),
        (("lr", 0.1), "SGD.lr=0.2"),
        (("batch_size", 8), "Run.batch_size = 4"),
    ],
)
def test_a_short_option_and_a_binding_of_the_same_setting_are_refused(short, sets):
    choices = Choices(("methods/rigl.gin",), "digits", sets=(sets,), short=(short,))
    option = f"--{short[0].replace('_', '-')}"
    with pytest.raises(UserError, match=f"{option} and --set .* both give "):
        assemble(choices, "fp32")
    only = Choices(("methods/rigl.gin",), "digits", sets=("Run.epochs=1",), short=(("lr", 0.1),))
    assert assemble(only, "fp32")[0].epochs == 1


def test_pipeline_of_a_text_needs_no_method_and_follows_its_scope():
    rest = "import stranger\nRun.method = @Strange()\nRun.model = @Strange\n"
    text = rest + "Run.pipeline = @own/ResizedPipeline()\nown/ResizedPipeline.size = 8\n"
    pipeline = pipeline_from_text(text + "ResizedPipeline.size = 9\n")
    assert pipeline.scaled_to == 8 and pipeline.decoded
    assert not pipeline_from_text(rest + "Run.pipeline = @ImageNetPipeline()\n").decoded
    with pytest.raises(UserError, match=r"nothing is registered as 'Own"):
        pipeline_from_text(rest + "Run.pipeline = @OwnPipeline()\n")


def test_an_option_and_a_binding_of_the_same_parameter_are_refused():
    given, sets = {"engine": "native"}, ("Run.engine = 'torch'",)
    with pytest.raises(UserError, match=r"--engine and --set .* both give Run\.engine"):
        choices_of(given, ("methods/rigl.gin",), sets, (), None)
