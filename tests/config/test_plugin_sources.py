"""Plugins: the files that decide what they do, and modules beside them."""

import sys

import pytest

from dstbench.config import plugins, registry
from dstbench.config.plugin_sources import sources
from dstbench.errors import UserError
from dstbench.recording.session_history import plugin_hashes


@pytest.fixture(autouse=True)
def restored_imports(monkeypatch):
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def write(folder, **files):
    """Write Python files, `a__b` as a/b.py and `a__init` as a/__init__.py; return the folder."""
    for name, text in files.items():
        parts = ["__init__" if part == "init" else part for part in name.split("__")]
        path = folder.joinpath(*parts).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_plugin_imports_modules_of_its_folder(tmp_path):
    write(tmp_path, plug="import beside_a\nassert beside_a.VALUE == 3", beside_a="VALUE = 3")
    plugins.load_file(tmp_path / "plug.py")
    assert list(sources([tmp_path / "plug.py"])) == ["plug.py", "beside_a.py"]


def test_plugin_gets_its_own_module_where_two_folders_have_one_of_that_name(tmp_path):
    for number in (1, 2):
        folder = write(
            tmp_path / f"p{number}",
            plug=f"import namesake\nassert namesake.VALUE == {number}",
            namesake=f"VALUE = {number}",
        )
        plugins.load_file(folder / "plug.py")
    both = sources([tmp_path / "p1" / "plug.py", tmp_path / "p2" / "plug.py"])
    assert sorted(both) == ["namesake.py", "p2/namesake.py", "p2/plug.py", "plug.py"]


def test_sources_follow_imports_in_packages_and_functions(tmp_path):
    write(
        tmp_path,
        plug="import json, torch, dstbench\nfrom kit.layers import gate\ndef f():\n import late",
        late="x = 1",
        unused="x = 1",
        kit__init="",
        kit__layers__init="from . import gate\nfrom ..numbers import N",
        kit__layers__gate="from kit import names",
        kit__numbers="N = 1",
        kit__names="",
    )
    assert set(sources([tmp_path / "plug.py"])) == {
        "plug.py", "late.py", "kit/__init__.py", "kit/layers/__init__.py", "kit/layers/gate.py",
        "kit/numbers.py", "kit/names.py",
    }  # fmt: skip


def test_sources_list_modules_that_a_plugin_imports_by_name(tmp_path):
    write(tmp_path, plug="import importlib\nimportlib.import_module('by' + '_name')", by_name="")
    plugins.load_file(tmp_path / "plug.py")
    assert list(sources([tmp_path / "plug.py"])) == ["plug.py", "by_name.py"]


def test_sources_list_user_modules_that_a_configuration_imports(tmp_path, monkeypatch):
    write(tmp_path, own_methods="import own_helper", own_helper="x = 1")
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("own_methods")
    text = "import own_methods\nimport dstbench.methods.rigl\nimport torch\nRun.seed = 0\n"
    assert list(sources([], text)) == ["own_methods.py", "own_helper.py"]


def test_plugin_hashes_change_with_an_imported_module(tmp_path):
    write(tmp_path, plug="import beside_b", beside_b="x = 1")
    before = plugin_hashes([tmp_path / "plug.py"])
    (tmp_path / "beside_b.py").write_text("x = 2")
    after = plugin_hashes([tmp_path / "plug.py"])
    assert before["plug.py"] == after["plug.py"] and before["beside_b.py"] != after["beside_b.py"]


CLASS = """
from dstbench import Part, register

@register("parts")
class {name}(Part):
    number = {number}

{last}
"""


def test_a_plugin_that_was_edited_after_it_was_loaded_is_refused(tmp_path):
    path = tmp_path / "edited.py"
    path.write_text(CLASS.format(name="Edited", number=1, last=""))
    plugins.load_file(path)
    plugins.load_file(path)
    path.write_text(CLASS.format(name="Edited", number=2, last=""))
    with pytest.raises(UserError, match="has changed since it was loaded"):
        plugins.load_file(path)


def test_a_plugin_that_failed_is_loaded_once_it_is_mended(tmp_path):
    path = tmp_path / "mended.py"
    path.write_text(CLASS.format(name="Mended", number=1, last="1 / 0"))
    with pytest.raises(UserError, match="ZeroDivisionError"):
        plugins.load_file(path)
    path.write_text(CLASS.format(name="Mended", number=2, last=""))
    plugins.load_file(path)
    assert registry.lookup("Mended").number == 2


def test_a_class_that_a_plugin_has_twice_is_refused(tmp_path):
    path = tmp_path / "twice.py"
    path.write_text(CLASS.format(name="Twice", number=1, last="") * 2)
    with pytest.raises(UserError, match="Twice is registered twice"):
        plugins.load_file(path)
