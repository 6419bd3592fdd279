"""Arguments in Python: NumPy's numbers are numbers, everything else is refused in one sentence."""

import math

import numpy as np
import pytest

import dstbench
from dstbench.api.choices import choose
from dstbench.cli.arguments import choices_from
from dstbench.cli.parser import parser
from dstbench.errors import UserError


def test_numbers_of_numpy_are_numbers():
    given = {
        "sparsity": np.linspace(0.5, 0.9, 3)[0],
        "seed": np.int64(3),
        "epochs": np.int32(2),
        "set": {"RigL.drop_fraction": np.float32(0.5), "Pipeline.mean": [np.float64(0.25)]},
    }
    choices, _ = choose("rigl", **given)
    assert dict(choices.axes) == {"sparsity": 0.5, "seed": 3} and choices.short == (("epochs", 2),)
    assert choices.sets == ("RigL.drop_fraction = 0.5", "Pipeline.mean = [0.25]")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"RigL.drop_fraction=0.2\nRun.seed": 3}, "is no setting"),
        ({"": 1}, "is no setting"),
        ({"RigL.drop_fraction": math.nan}, "expected a finite number"),
        ({"RigL.drop_fraction": np.float64("inf")}, "expected a finite number"),
        ({"RigL.drop_fraction": lambda progress: 0.3}, "expected a number, a text"),
        (3, "expected names and values"),
    ],
)
def test_settings_that_are_none_are_refused(given, words):
    with pytest.raises(UserError, match=words):
        choose("rigl", set=given)


@pytest.mark.parametrize("value", [False, 5, b"off"])
def test_tracking_that_is_no_address_is_refused(tmp_path, value):
    with pytest.raises(UserError, match=r"tracking = .*: expected 'off'"):
        dstbench.run("rigl", recipe="digits", runs=tmp_path, tracking=value, quiet=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("plugins", [[3], 3, [None]])
def test_plugins_that_are_no_paths_are_refused(plugins):
    with pytest.raises(UserError, match="plugins = "):
        choose("rigl", plugins=plugins)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"image": (32, 32), "classes": 10}, "image = "),
        ({"image": "3,32,32", "classes": 10}, "image = "),
        ({"image": 5, "classes": 10}, "image = 5"),
        ({"image": (3, 32, 32), "classes": "10"}, "classes = "),
    ],
)
def test_cost_of_no_image_or_no_classes_is_refused(given, words):
    with pytest.raises(UserError, match=words):
        dstbench.cost("rigl", dataset="foo", **given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"take": "masks"}, "take = 'masks': give the run to take from, with start"),
        ({"start": "absent", "take": "all"}, "take = 'all': expected 'both', 'weights' or 'masks'"),
        ({"start": "absent"}, "absent: no such file"),
    ],
)
def test_a_start_that_is_no_network_is_refused(given, words):
    with pytest.raises(UserError, match=words):
        choose("rigl", **given)


def test_choices_are_those_of_the_command_line():
    given = {
        "recipe": "digits", "sparsity": 0.5, "seed": 3, "dataset": "digits", "model": "ResNet20",
        "protocol": "strict", "epochs": 2, "batch_size": 64, "lr": 0.5, "engine": "torch",
    }  # fmt: skip
    words = [w for k, v in given.items() for w in (f"--{k.replace('_', '-')}", str(v))]
    args = parser().parse_args(["run", "rigl", *words])
    assert choose("rigl", **given) == choices_from(args)
