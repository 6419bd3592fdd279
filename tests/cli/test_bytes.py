"""Commands in folders, and with arguments, whose names are not UTF-8; in other locales too."""

import json
import os
import subprocess

import pytest

from dstbench.utils.processes import environment, python

QUICK = (
    *("--set", "Run.epochs=1", "--set", "ResNet20.width=4", "--sparsity", "0.5"),
    *("--set", "Run.train_images=256", "--device", "cpu"),
)
NAME = os.fsdecode(b"r\xe9sultats")  # as Latin-1 has it
GRID = """
Table.title = 'One'
Table.kind = 'accuracy'
Table.sections = [@Section()]
Section.methods = ['static']
Section.recipes = ['digits']
Section.sparsities = [0.5]
Section.seeds = [0]
Section.bindings = ['Run.epochs = 1', 'ResNet20.width = 4']
"""
PLUGIN = """
from dstbench import Part, register

@register("parts")
class Nothing(Part):
    pass
"""
ASCII = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def start(folder, *argv, **more):
    """Return (exit code, output, errors) of a command line in a folder; more: its variables."""
    variables = environment(PYTHONIOENCODING="", **more)
    command = python("dstbench", *argv)
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True)
    return done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1")


@pytest.fixture
def folder(tmp_path):
    """A folder whose name is not UTF-8, with a plugin and a grid."""
    try:
        (folder := tmp_path / NAME).mkdir()
    except OSError:
        pytest.skip("needs a file system that takes any bytes as a name")
    (folder / "mine.py").write_text(PLUGIN)
    (folder / f"{NAME}.gin").write_text(GRID)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"LC_ALL": "C"}, ASCII], ids=["UTF-8", "C", "ASCII"])
def test_run_whose_folders_and_arguments_are_not_utf8(folder, more):
    argv = ("run", "methods/static.gin", *QUICK, "--plugin", "mine.py", "--runs", NAME)
    code, out, errors = start(folder, *argv, "--plugin", str(folder / "mine.py"), **more)
    assert code == 0, errors
    assert "Traceback" not in errors and "test accuracy" in out
    (path,) = (folder / NAME).glob("*/record.json")
    command = json.loads(path.read_bytes())["provenance"]["command"]
    assert "r\\xe9sultats" in command
    assert "is not UTF-8, so MLflow cannot use" in (path.parent / "mirror.log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, ASCII], ids=["UTF-8", "ASCII"])
def test_sweep_whose_folders_and_grid_are_not_utf8(folder, more):
    argv = ("sweep", f"{NAME}.gin", "--runs", NAME, "--device", "cpu", "--tracking", "off")
    code, out, errors = start(folder, *argv, **more)
    assert code == 0, errors
    assert "1 of 1 runs are done" in out and "Traceback" not in errors


@pytest.mark.parametrize("argv", [("run", "--help"), ("run", f"{NAME}.gin"), ("sweep", NAME)])
def test_help_and_refusals_are_printed_in_a_locale_without_utf8(tmp_path, argv):
    code, _, errors = start(tmp_path, *argv, **ASCII)
    assert code == (0 if "--help" in argv else 2) and "Traceback" not in errors
