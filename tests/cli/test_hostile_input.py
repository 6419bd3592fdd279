"""Input without end, closed outputs and control characters: one message, soon."""

import subprocess
import sys

import pytest

from dstbench.config.choices import Choices
from dstbench.config.gin_file import read_file, read_text
from dstbench.errors import UserError
from dstbench.training.configure import assemble
from dstbench.utils.printable import harmless

DSTBENCH = f"{sys.executable} -m dstbench"


def shell(command, cwd):
    done = subprocess.run(["bash", "-c", command], cwd=cwd, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_includes_that_double_are_refused(tmp_path):
    for i in range(30):
        text = f"include '{tmp_path}/{i + 1}.gin'\n" * 2
        (tmp_path / f"{i}.gin").write_text(text)
    (tmp_path / "30.gin").write_text("a = 1\n")
    with pytest.raises(UserError, match="includes more than 1,000 files"):
        list(read_file(tmp_path / "0.gin"))


def test_values_that_are_nested_too_deeply_are_refused():
    with pytest.raises(UserError, match="a text: a value is nested too deeply"):
        read_text("a = " + "[" * 100_000 + "]" * 100_000, "a text")


@pytest.mark.parametrize("binding", ["RigL.drop_fraction=@ERK()", "RigL.drop_fraction=@RigL()"])
def test_reference_to_what_is_no_schedule_is_refused(binding):
    with pytest.raises(UserError, match="expected a reference to a schedule"):
        assemble(Choices(("methods/rigl.gin",), "digits", sets=(binding,)), "fp32")


@pytest.mark.parametrize("digits", [20, 400, 5000])
@pytest.mark.parametrize("name", ["Run.seed", "Run.epochs", "SGD.lr"])
def test_numbers_without_end_are_refused(name, digits):
    choices = Choices(("methods/rigl.gin",), "digits", sets=(f"{name} = {'9' * digits}",))
    with pytest.raises(UserError, match=f"--set .*{name} = 999"):
        assemble(choices, "fp32")


def test_message_without_end_is_shortened():
    text = harmless("start " + "9" * 100_000 + " end")
    assert text.startswith("start 9") and text.endswith("9 end") and len(text) < 5000


def test_control_characters_are_shown_and_not_obeyed():
    assert harmless("a\x1b[31mb\r\n\tc…") == "a\\x1b[31mb\\r\n\tc…"


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("list >&-", 0, ""),
        ("list >&- 2>&-", 0, ""),
        ("list > /dev/full", 1, "no space left"),
        ("list | head -1", 0, ""),
        ("run $'\\e[31mred.gin'", 2, "dstbench: \\x1b[31mred.gin: no such file"),
    ],
)
@pytest.mark.slow
def test_output_that_cannot_be_written_ends_quietly(tmp_path, command, code, words):
    found, errors = shell(f"{DSTBENCH} {command}", tmp_path)
    assert found == code and words in errors
    assert not list(tmp_path.iterdir())
