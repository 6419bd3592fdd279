"""docs/settings.md is what the code says now, and `dstbench list` prints single classes."""

import json
from pathlib import Path

import pytest

from dstbench.cli.settings_page import load_classes, settings_page
from dstbench.config.reference import settings, sources
from dstbench.config.registry import GROUPS, lookup, names

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture(scope="module", autouse=True)
def classes():
    load_classes([])


def own():
    found = [lookup(name) for group in GROUPS for name in names(group)]
    return [cls for cls in found if cls.__module__.partition(".")[0] == "dstbench"]


def test_page_is_up_to_date():
    assert PAGE.read_text() == settings_page(), "dstbench list --settings > docs/settings.md"


def test_every_setting_of_every_class_is_described():
    assert len(own()) > 30
    assert [one.name for cls in own() for one in settings(cls) if not one.text] == []


@pytest.mark.parametrize("name", ["RigL", "SET", "SynFlow", "DyReLUPhasing", "ERK"])
def test_classes_from_papers_name_their_source(name):
    assert any(digit.isdigit() for digit in sources(lookup(name)))


def test_list_prints_the_settings_of_a_class(call):
    code, out, _ = call("list", "RigL")
    assert code == 0 and "RigL.drop_fraction" in out and "required" not in out
    code, out, _ = call("list", "RigL", "--json")
    assert {one["name"]: one["default"] for one in json.loads(out)}["RigL.update_until"] == "1.0"


def test_list_prints_the_settings_of_a_model_that_is_a_function(call, tmp_path):
    (tmp_path / "small_models.py").write_text(
        "from torch import nn\nfrom dstbench import register\n\n\n@register('models')\n"
        "def settled(num_classes: int, in_channels: int, width: int = 6) -> nn.Module:\n"
        '    """A small network.\n\n    width: channels.\n    """\n'
        "    return nn.Linear(in_channels, num_classes)\n"
    )
    code, out, _ = call("list", "settled", "--plugin", str(tmp_path / "small_models.py"), "--json")
    assert code == 0
    assert json.loads(out) == [
        {"name": "settled.width", "type": "int", "default": "6", "text": "channels."}
    ]


def test_list_of_an_unknown_name_names_the_nearest(call):
    code, _, err = call("list", "RigLL")
    assert code == 2 and "RigL" in err and "methods" in err


def test_list_of_grids_and_schedules(call):
    code, out, _ = call("list", "grids")
    assert code == 0 and "cifar10_tiny" in out
    code, out, _ = call("list", "schedules")
    assert code == 0 and "Cosine" in out
