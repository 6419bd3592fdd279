"""Mistakes on the command line: one clear message, exit code 2, nothing written.

Tests check the facts in a message: what was given, what is allowed, and where.
"""

import errno
import importlib
import os

import pytest

from dstbench.cli.main import main

listing = importlib.import_module("dstbench.cli.commands.list")

RIGL = "methods/rigl.gin"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DSTBENCH_DATA", raising=False)
    return tmp_path


@pytest.fixture
def refused(capsys, empty_folder):
    """Return a function that runs a command, which must be refused, and returns its message."""

    def call(*argv):
        with pytest.raises(SystemExit) as exit:
            main([*argv])
        output = capsys.readouterr()
        assert exit.value.code == 2, output.err
        assert "Traceback" not in output.err
        assert not (empty_folder / "runs").exists()
        return output.err

    return call


@pytest.mark.parametrize(
    ("name", "value"), [("WORLD_SIZE", "abc"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "x")]
)
def test_run_refuses_variables_that_torchrun_did_not_set(refused, monkeypatch, name, value):
    for other in ("RANK", "LOCAL_RANK"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv(name, value)
    message = refused("run", RIGL)
    assert "environment variable" in message and "nset" in message


def gin(folder, text, name="mine.gin"):
    path = folder / name
    path.write_text(text)
    return str(path)


METHOD = (
    "import dstbench.methods.rigl\n"
    "Run.method = @Method()\n"
    "Method.name = 'Mine'\n"
    "Method.parts = [@ERK(), @RigL()]\n"
    "ERK.sparsity = %sparsity\n"
    "RigL.updates_per_run = 20\n"
)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["methods/rigle.gin"], ["methods/rigle.gin", "no such file", "methods/rigl.gin"]),
        (["nowhere/at/all.gin"], ["nowhere/at/all.gin", "no such file"]),
        ([RIGL, "--recipe", "digit"], ["no recipe 'digit'", "Did you mean 'digits'"]),
        ([RIGL, "--model", "ResNet21"], ["ResNet21", "Did you mean 'ResNet20'"]),
        ([RIGL, "--protocol", "strickt"], ["strickt", "Did you mean 'strict'"]),
        ([RIGL, "--dataset", "cifar11"], ["cifar11"]),
        ([RIGL, "--dataset", "no/such/folder"], ["no/such/folder", "no such folder"]),
        ([RIGL, "--sparsity", "1.0"], ["sparsity", "1.0", "[0, 1)"]),
        ([RIGL, "--sparsity", "-0.1"], ["sparsity", "-0.1", "[0, 1)"]),
        ([RIGL, "--sparsity", "99.9"], ["sparsity", "99.9", "0.999 for 99.9 %"]),
        ([RIGL, "--sparsity", "0.99999"], ["0.99999", "layers", "highest sparsity"]),
        ([RIGL, "--sparsity", "many"], ["many", "not a number"]),
        ([RIGL, "--seed", "1.5"], ["1.5", "not a whole number"]),
        ([RIGL, "--seed", "-1"], ["-1", "zero or more"]),
        ([RIGL, "--set", "RigL.drop_fractoin=0.3"], ["drop_fractoin", "'drop_fraction'", "--set"]),
        ([RIGL, "--set", "RigLL.drop_fraction=0.3"], ["RigLL", "Did you mean 'RigL'"]),
        ([RIGL, "--set", "RigL.drop_fraction='a'"], ["RigL.drop_fraction = 'a'", "a number"]),
        ([RIGL, "--set", "RigL.drop_fraction=1.5"], ["1.5", "[0, 1]", "--set"]),
        ([RIGL, "--set", "RigL.drop_fraction"], ["NAME=VALUE"]),
        ([RIGL, "--set", "Run.epochs=2.5"], ["Run.epochs = 2.5", "a whole number"]),
        ([RIGL, "--set", "Run.epochs=True"], ["Run.epochs = True", "a whole number"]),
        ([RIGL, "--set", "Run.epochs=0"], ["Run.epochs = 0", "at least 1"]),
        ([RIGL, "--set", "precision='fp8'"], ["precision", "fp8"]),
        ([RIGL, "--set", "Method.parts=[@ERK(), @SynFlow()]"], ["SynFlow"]),
        (
            [RIGL, "--set", "Method.parts=[@ERK(), @Uniform(), @RigL()]\nUniform.sparsity=0.5"],
            ["ERK and Uniform both initialise the masks"],
        ),
        ([RIGL, "--set", "Method.parts=[@RigL()]"], ["RigL moves masks", "no part initialises"]),
        ([RIGL, "--set", "RigL.update_interval=100000"], ["RigL would never update", "100000"]),
        ([RIGL, "--set", "Adam.lr=0.1"], ["Adam.lr is set", "this run has no Adam"]),
        ([RIGL, "--set", "speed=3"], ["nothing in this run uses %speed"]),
        (
            [RIGL, "--set", "Method.name=mine"],
            ["mine is no value; text needs quotes, as in 'mine'"],
        ),
        ([RIGL, "--set", "RigL.drop_fraction="], ["there is no value after the '='"]),
        (
            [RIGL, "--set", "Run.seed=1", "--seed", "2"],
            ["Run.seed is set itself, by --set 'Run.seed=1'", "--set Run.seed=…"],
        ),
        ([RIGL, "--set", "Run.lr_schedule=@Cosin()"], ["Cosin", "Did you mean 'Cosine'"]),
        ([RIGL, "--set", "Run.model=@SGD"], ["Run.model", "@ResNet20"]),
        ([RIGL, "--set", "Method.parts=[@ERK(, @RigL()]"], ["--set"]),
        ([RIGL, "--set", "Run.seed=%sead"], ["%sead is not defined", "Did you mean 'seed'"]),
        (["methods/dense.gin", "--sparsity", "0.9"], ["sparsity", "nothing in this run uses"]),
        ([RIGL, "--plugin", "absent.py"], ["absent.py", "no such file"]),
        ([RIGL, "--plugin", "."], ["--plugin .", "is a folder"]),
        ([""], ["''", "no such file"]),
        ([RIGL, "--device", "abacus"], ["abacus", "auto, cpu or cuda"]),
        ([RIGL, "--threads", "0"], ["--threads 0"]),
        ([RIGL, "--tracking", "of"], ["'of' is not a store", "Give off"]),
        ([RIGL, "--checkpoint-seconds", "0"], ["not positive"]),
        (["--frobnicate"], ["dstbench run"]),
    ],
)
def test_run_refuses_mistakes(refused, argv, expected):
    message = refused("run", *argv)
    for part in expected:
        assert part in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (METHOD + "RigL.drop_fraction = 2.0\n", ["mine.gin:7", "[0, 1]"]),
        (METHOD + "RigL.dropfraction = 0.2\n", ["mine.gin:7", "'drop_fraction'"]),
        (METHOD + "RigL.drop_fraction = [0.2\nCosine.end = 0.0\n", ["mine.gin:7", "never closed"]),
        (METHOD + "Cosine.start = 0.5\n", ["mine.gin:7", "no Cosine"]),
        (METHOD + "include 'absent.gin'\n", ["mine.gin:7", "absent.gin"]),
        (METHOD + "import no.such.module\n", ["mine.gin:7", "no.such.module"]),
        (METHOD + "RigL.drop_fraction = @Cosine\n", ["mine.gin:7", "RigL.drop_fraction"]),
        (METHOD + "RigL.drop_fraction ==\n", ["mine.gin:7"]),
        (METHOD.replace("[@ERK(), @RigL()]", "[@ERK, @RigL()]"), ["mine.gin:4"]),
        (METHOD.replace("@Method()", "@Methud()"), ["mine.gin:2", "Did you mean 'Method'"]),
        ("Run.method = @Method()\n", ["Method.name is not set"]),
        ("include 'mine.gin'\n", ["mine.gin:1", "includes itself"]),
        ("a = %b\nb = %a\nRun.split_seed = %a\n" + METHOD, ["defined by itself"]),
    ],
)
def test_run_refuses_mistakes_in_gin_files(refused, empty_folder, text, expected):
    message = refused("run", gin(empty_folder, text))
    for part in expected:
        assert part in message


def test_gin_include_finds_shipped_methods_by_name(refused, empty_folder):
    text = "include 'methods/rigl.gin'\nRigL.updates_per_run = 1\n"
    assert "mine.gin:2" in refused("run", gin(empty_folder, text))


def test_gin_include_refuses_circles(refused, empty_folder):
    gin(empty_folder, "include 'b.gin'\n", "a.gin")
    gin(empty_folder, "seed = 1\ninclude 'c.gin'\n", "b.gin")
    gin(empty_folder, "include 'b.gin'\n", "c.gin")
    message = refused("run", "a.gin")
    assert message == (
        "dstbench: c.gin:1: circular include: b.gin → c.gin → b.gin. "
        "Remove one of these includes.\n"
    )


def test_run_refuses_a_folder_instead_of_a_file(refused, empty_folder):
    (empty_folder / "folder").mkdir()
    assert "is a folder" in refused("run", "folder")


def test_run_reports_the_line_of_a_failing_plugin(refused, empty_folder):
    path = empty_folder / "broken.py"
    path.write_text("x = 1\ny = x / 0\n")
    message = refused("run", RIGL, "--plugin", str(path))
    assert "broken.py:2" in message and "ZeroDivisionError" in message


def test_run_refuses_a_plugin_that_registers_a_taken_name(refused, empty_folder):
    path = empty_folder / "again.py"
    path.write_text(
        "from dstbench.core.part import Part\nfrom dstbench.config.registry import register\n"
        "@register('parts')\nclass ERK(Part):\n    pass\n"
    )
    message = refused("run", RIGL, "--plugin", str(path))
    assert "ERK is registered twice" in message and "again.py" in message


def test_run_refuses_a_runs_folder_that_cannot_be_written(refused, empty_folder):
    (empty_folder / "blocked").write_text("")
    message = refused("run", RIGL, "--runs", "blocked", "--tracking", "off")
    assert "blocked" in message and "--runs" in message


@pytest.mark.parametrize(
    "argv",
    [
        ["run", "{}"],
        ["run", RIGL, "--recipe", "{}"],
        ["run", RIGL, "--from", "{}"],
        ["run", RIGL, "--plugin", "{}"],
        ["cost", "{}"],
        ["sweep", "{}"],
        ["compare", "set", "{}"],
        ["check", "{}"],
        ["measure", "{}"],
        ["deploy", "{}"],
        ["validate", "{}"],
        ["verify", "{}"],
        ["sync", "{}"],
        ["new", "Mine", "--into", "{}"],
        ["leaderboard", "--out", "{}"],
        ["data", "prepare", "{}"],
    ],
    ids=" ".join,
)
def test_every_command_reports_a_path_that_the_system_refuses(refused, argv):
    name = 300 * "x"
    message = refused(*(word.format(name) for word in argv))
    assert name in message and "File name too long" in message


@pytest.mark.parametrize(("number", "code"), [(errno.EACCES, 2), (errno.ENOSPC, 1), (errno.EIO, 1)])
def test_errors_that_may_pass_have_exit_code_1(monkeypatch, capsys, number, code):
    def fail(args):
        raise OSError(number, os.strerror(number), b"runs/a\x1b\xff")

    monkeypatch.setattr(listing, "main", fail)
    with pytest.raises(SystemExit) as exit:
        main(["list"])
    assert exit.value.code == code
    assert capsys.readouterr().err.endswith(f"\\x1b\\udcff: {os.strerror(number)}.\n")


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["data", "prepare", "cifar10"], ["cifar10", "dstbench data fetch cifar10"]),
        (["data", "fetch", "digits"], ["digits"]),
        (["data", "fetch", "cifar10", "--cache", "."], ["--cache"]),
        (["doctor", "--threads", "2"], ["--threads"]),
        (["new", "lower"], ["lower", "capital"]),
        (["new", "My-Method"], ["My-Method"]),
        (["new", "Mine", "--into", "absent"], ["absent", "no such folder"]),
        (["check", "absent.gin"], ["absent.gin", "no such file"]),
        (["sync"], ["no run below runs"]),
        (["list", "moths"], ["moths", "methods"]),
        (["lisst"], ["lisst"]),
        ([], ["COMMAND"]),
    ],
)
def test_other_commands_refuse_mistakes(refused, argv, expected):
    message = refused(*argv)
    for part in expected:
        assert part in message


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], ["FILE.gin"]),
        (["methods/rigle.gin"], ["no such file", "methods/rigl.gin"]),
        ([RIGL, "--sparsity", "1.0"], ["1.0", "[0, 1)"]),
        ([RIGL, "--sparsity", "0.99999"], ["0.99999", "highest sparsity"]),
        ([RIGL, "--set", "ERK.floor=1.5"], ["ERK.floor = 1.5", "(0, 1]", "--set"]),
        (["methods/dense.gin", "--sparsity", "0.9"], ["sparsity", "nothing in this run uses"]),
        ([RIGL, "--dataset", "mine"], ["'mine'", "cifar10", "--image C,H,W", "--classes N"]),
        ([RIGL, "--dataset", "mine", "--image", "3,8,8"], ["--classes N"]),
        ([RIGL, "--dataset", "mine", "--classes", "4"], ["--image C,H,W"]),
        ([RIGL, "--image", "3,8"], ["--image: '3,8'", "channels, height and width"]),
        ([RIGL, "--image", "3,8,0"], ["--image: '3,8,0'"]),
        ([RIGL, "--image", "3,8,x"], ["--image: '3,8,x'"]),
        ([RIGL, "--image", f"{5000 * '9'},1,1"], ["--image: '999", "channels, height and width"]),
        ([RIGL, "--image", ""], ["--image", "channels, height and width"]),
        ([RIGL, "--classes", "0"], ["--classes 0", "at least 1"]),
        ([RIGL, "--classes", "few"], ["few", "not a whole number"]),
        ([RIGL, "--model", "ResNet21"], ["ResNet21", "Did you mean 'ResNet20'"]),
        ([RIGL, "--recipe", "digit"], ["no recipe 'digit'", "Did you mean 'digits'"]),
    ],
)
def test_cost_refuses_mistakes(refused, argv, expected):
    message = refused("cost", *argv)
    for part in expected:
        assert part in message


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["run", RIGL, "--sparsty", "0.9"], ["dstbench run: ", "--sparsty. Did you mean '--spars"]),
        (["run", RIGL, "--zzz=3"], ["dstbench run: no such option: --zzz.\n"]),
        (["sweep", "mine.gin", "other.gin"], ["dstbench sweep: unexpected argument: other.gin."]),
    ],
)
def test_unknown_arguments_are_refused_by_their_command(refused, argv, expected):
    message = refused(*argv)
    for part in [*expected, f"Try: dstbench {argv[0]} --help"]:
        assert part in message
